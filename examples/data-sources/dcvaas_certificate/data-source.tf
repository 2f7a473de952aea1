data "dcvaas_certificate" "example" {
  domain = "example.com" # better: dcvaas_domain_validation.example.domain_id
}

output "fullchain_pem" {
  value = data.dcvaas_certificate.example.fullchain_pem
}
