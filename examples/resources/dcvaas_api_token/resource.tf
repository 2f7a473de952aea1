# The first apply in the 30 days before its end gives it a new secret. The old one works on for a week.
resource "dcvaas_api_token" "web_server" {
  name                 = "web server"
  scopes               = ["domains:read", "certificates:read"]
  expires_in           = "90d"
  rotate_before_expiry = "30d"
  rotation_overlap     = "7d"
}
