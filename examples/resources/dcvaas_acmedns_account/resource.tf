# One CNAME serves both the certificates of the service and those that the mail server gets itself.
resource "dcvaas_delegation" "mail" {
  name = "mail.example.com"
}

resource "dcvaas_acmedns_account" "mail" {
  description   = "mail server"
  delegation_id = dcvaas_delegation.mail.id
  allow_from    = ["192.0.2.25/32"]
}

# The file with the accounts of lego and Traefik, by domain.
output "acme_dns_storage" {
  sensitive = true
  value = jsonencode({
    "mail.example.com" = {
      fulldomain = dcvaas_acmedns_account.mail.fulldomain
      subdomain  = dcvaas_acmedns_account.mail.subdomain
      username   = dcvaas_acmedns_account.mail.username
      password   = dcvaas_acmedns_account.mail.password
      server_url = dcvaas_acmedns_account.mail.server_url
    }
  })
}
