data "dcvaas_domain" "example" {
  domain = "example.com"
}

output "why" {
  value = [for c in data.dcvaas_domain.example.conditions : c.message if c.status != "true"]
}
