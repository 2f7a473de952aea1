variable "webhook_secret" {
  description = "Secret that signs events: `printf whsec_; openssl rand -base64 32`."
  type        = string
  ephemeral   = true
}

resource "dcvaas_webhook" "certificates" {
  url         = "https://example.com/hooks/dcvaas"
  description = "Certificates of the shop"
  events      = ["domain.certificate_issued", "domain.renewed", "domain.renewal_failed"]

  secret_wo         = var.webhook_secret
  secret_wo_version = 1
}
