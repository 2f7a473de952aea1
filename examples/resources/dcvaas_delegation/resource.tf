# Its record can be created and checked before a domain uses the name.
resource "dcvaas_delegation" "example" {
  name = "example.com"
}

output "record" {
  value = "${dcvaas_delegation.example.fqdn} ${dcvaas_delegation.example.type} ${dcvaas_delegation.example.target}."
}

# Records of many names, known at plan time.
resource "dcvaas_delegation" "planned" {
  for_each = toset(["shop.example.com", "www.example.com"])
  name     = each.key
}

output "planned_records" {
  value = { for name, d in dcvaas_delegation.planned : d.record_name => d.target }
}
