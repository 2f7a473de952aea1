# The record for a domain that is added elsewhere, or later.
data "dcvaas_delegation" "example" {
  domain = "example.com"
}

output "record" {
  value = "${data.dcvaas_delegation.example.fqdn} ${data.dcvaas_delegation.example.type} ${data.dcvaas_delegation.example.target}"
}
