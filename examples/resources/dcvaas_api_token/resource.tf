# The first apply in the 30 days before expiry rotates the secret. The previous one remains valid for
# a week.
resource "dcvaas_api_token" "web_server" {
  name                 = "web server"
  scopes               = ["domains:read", "certificates:read"]
  expires_in           = "90d"
  rotate_before_expiry = "30d"
  rotation_overlap     = "7d"
}
