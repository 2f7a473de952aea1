variable "name_server" {
  description = "Host name or address of the primary name server, with an optional port."
  type        = string
}

variable "tsig_name" {
  description = "Name of the TSIG key."
  type        = string
  default     = "dcvaas"
}

variable "tsig_secret" {
  description = "Secret of the TSIG key in base64, as `tsig-keygen -a hmac-sha256` prints it."
  type        = string
  ephemeral   = true
}

resource "dcvaas_dns_connection" "ns1" {
  type = "rfc2136"
  name = "ns1.example.com"

  credentials_wo = {
    server     = var.name_server
    key_name   = var.tsig_name
    key_secret = var.tsig_secret
    zones      = ["example.com"]
  }
  credentials_wo_version = 1
}

# The service creates the CNAMEs of the domain.
resource "dcvaas_domain" "shop" {
  name             = "shop.example.com"
  additional_names = ["www.shop.example.com"]
  connection_id    = dcvaas_dns_connection.ns1.id
}

resource "dcvaas_domain_validation" "shop" {
  domain_id = dcvaas_domain.shop.id
  wait_for  = "certificate"
}
