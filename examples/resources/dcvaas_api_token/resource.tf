# Replaced by the first apply in the 30 days before its end. The old one works until the new one is handed on.
resource "dcvaas_api_token" "web_server" {
  name                 = "web server"
  scopes               = ["domains:read", "certificates:read"]
  expires_in           = "90d"
  rotate_before_expiry = "30d"

  lifecycle {
    create_before_destroy = true
  }
}
