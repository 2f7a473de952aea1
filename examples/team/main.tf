# A team and its tools: who sees and who changes, where its events go, and what its pipeline may do.

terraform {
  required_version = ">= 1.11"

  required_providers {
    dcvaas = {
      source = "dcvaas/dcvaas"
    }
  }
}

resource "dcvaas_organization_member" "team" {
  for_each = var.members

  login = each.key
  role  = each.value
}

# Nobody is told of the secret but the receiver; it is in no state. Raise the version to rotate it: the old one signs along
# for a day.
resource "dcvaas_webhook" "events" {
  url         = var.webhook_url
  description = "Events of the team"
  events      = ["domain.certificate_issued", "domain.renewed", "domain.renewal_failed", "domain.delegation_broken"]

  secret_wo         = var.webhook_secret
  secret_wo_version = var.webhook_secret_version
}

# The pipeline's token gets a new secret by the first apply in the 30 days before its end. The old one works on for a week.
resource "dcvaas_api_token" "pipeline" {
  name                 = "pipeline"
  scopes               = ["domains:read", "domains:write"]
  expires_in           = "90d"
  rotate_before_expiry = "30d"
  rotation_overlap     = "7d"
}
