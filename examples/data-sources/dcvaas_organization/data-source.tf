data "dcvaas_organization" "this" {}

# Warns when the plan's domain limit is reached.
check "room" {
  assert {
    condition     = data.dcvaas_organization.this.domains.used < data.dcvaas_organization.this.domains.limit
    error_message = "The domain limit of the ${data.dcvaas_organization.this.tier} plan is reached."
  }
}
