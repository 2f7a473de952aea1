resource "dcvaas_domain" "example" {
  name = "example.com"
}

# The record in the domain's zone, here at Route53.
#
# resource "aws_route53_record" "acme" {
#   zone_id = aws_route53_zone.example.zone_id
#   name    = dcvaas_domain.example.delegation.name
#   type    = dcvaas_domain.example.delegation.type
#   ttl     = 300
#   records = [dcvaas_domain.example.delegation.target]
# }

resource "dcvaas_domain_validation" "example" {
  domain_id   = dcvaas_domain.example.id
  record_fqdn = dcvaas_domain.example.delegation.name # better: aws_route53_record.acme.fqdn
  wait_for    = "certificate"

  # A change of the domain's options waits until the certificate has them.
  options_revision = dcvaas_domain.example.options_revision

  timeouts = {
    create = "30m"
  }
}
