# A certificate for one domain, with `dcvaas dev`:
#
#   make dev                                     (in another terminal)
#   . .dcvaas/dev.env                            (DCVAAS_ENDPOINT, DCVAAS_API_TOKEN, DCVAAS_PLAYGROUND_URL)
#   cd examples/quickstart
#   export TF_VAR_playground_url=$DCVAAS_PLAYGROUND_URL
#   terraform init && terraform apply
#
# `make demo` runs all of this. For a provider that you built, first set its path in the file that
# TF_CLI_CONFIG_FILE names, and omit the init:
#
#   provider_installation {
#     dev_overrides { "dcvaas/dcvaas" = "/path/to/bin" }
#     direct {}
#   }
#
# For a real zone, replace terraform_data.cname and dcvaas_domain_validation.this with a record and
# its wait from dns.tf.example.

terraform {
  required_version = ">= 1.11"
  required_providers {
    dcvaas = {
      source = "dcvaas/dcvaas"
    }
  }
}

# Endpoint and token come from DCVAAS_ENDPOINT and DCVAAS_API_TOKEN.
provider "dcvaas" {}

variable "domain" {
  description = "The domain to get a certificate for."
  type        = string
  default     = "quickstart.example.com"
}

variable "wildcard" {
  description = "Whether the certificate also covers *.domain."
  type        = bool
  default     = true
}

variable "playground_url" {
  description = "URL of the playground DNS of `dcvaas dev`: DCVAAS_PLAYGROUND_URL."
  type        = string
}

# 1. The domain. Its record is known at plan time.
resource "dcvaas_domain" "this" {
  name     = var.domain
  wildcard = var.wildcard
}

# 2. The record. Renewals use it, too.
resource "terraform_data" "cname" {
  input = {
    url    = "${var.playground_url}/records"
    name   = dcvaas_domain.this.delegation.name
    target = dcvaas_domain.this.delegation.target
  }
  triggers_replace = [var.playground_url, dcvaas_domain.this.delegation.name, dcvaas_domain.this.delegation.target]

  provisioner "local-exec" {
    command = "curl -fsS -X PUT -H 'Content-Type: application/json' --data \"$RECORD\" \"$URL\""
    quiet   = true
    environment = {
      URL    = self.input.url
      RECORD = jsonencode({ name = self.input.name, type = "CNAME", values = [self.input.target], ttl = 60 })
    }
  }

  provisioner "local-exec" {
    when    = destroy
    command = "curl -fsS -X DELETE \"$URL\""
    quiet   = true
    environment = {
      URL = "${self.output.url}?name=${self.output.name}&type=CNAME"
    }
  }
}

# 3. The wait for the record and the certificate.
resource "dcvaas_domain_validation" "this" {
  domain_id   = dcvaas_domain.this.id
  record_fqdn = terraform_data.cname.output.name
  wait_for    = "certificate"

  timeouts = {
    create = "10m"
  }
}

# 4. The certificate.
data "dcvaas_certificate" "this" {
  domain = dcvaas_domain_validation.this.domain_id
}
