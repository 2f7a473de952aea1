resource "dcvaas_domain" "example" {
  name = "example.com"
}

# A wildcard certificate, protected from deletion.
resource "dcvaas_domain" "shop" {
  name                = "shop.example.com"
  wildcard            = true
  key_type            = "ec384"
  deletion_protection = true

  labels = {
    team = "shop"
    env  = "production"
  }
}

# One certificate for several names. A change of one name changes one record.
resource "dcvaas_domain" "site" {
  name             = "site.example.com"
  additional_names = ["www.site.example.com", "*.site.example.net"]
}

output "site_records" {
  value = { for name, d in dcvaas_domain.site.delegations : d.name => d.target }
}

# The records of many domains, known at plan time.
resource "dcvaas_domain" "customers" {
  for_each = toset(["customer-a.example.net", "customer-b.example.net"])
  name     = each.key
}

output "records" {
  value = { for name, d in dcvaas_domain.customers : d.delegation.name => d.delegation.target }
}
