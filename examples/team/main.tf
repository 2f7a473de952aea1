# A team: its members and their roles, a webhook for its events, and an API token for its pipeline.

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

# Only the receiver gets the secret; it is not in the state. To rotate it, increase the version: the
# previous secret also signs for one day.
resource "dcvaas_webhook" "events" {
  url         = var.webhook_url
  description = "Events of the team"
  events      = ["domain.certificate_issued", "domain.renewed", "domain.renewal_failed", "domain.delegation_broken"]

  secret_wo         = var.webhook_secret
  secret_wo_version = var.webhook_secret_version
}

# The first apply in the 30 days before expiry rotates the pipeline's token. The previous secret
# remains valid for a week.
resource "dcvaas_api_token" "pipeline" {
  name                 = "pipeline"
  scopes               = ["domains:read", "domains:write"]
  expires_in           = "90d"
  rotate_before_expiry = "30d"
  rotation_overlap     = "7d"
}
