output "record" {
  description = "Record that delegates the domain."
  value       = dcvaas_domain.this.delegation
}

output "certificate" {
  description = "Details of the certificate."
  value = {
    id         = data.dcvaas_certificate.this.id
    names      = data.dcvaas_certificate.this.names
    issuer     = data.dcvaas_certificate.this.issuer
    ca         = data.dcvaas_certificate.this.ca
    serial     = data.dcvaas_certificate.this.serial
    key_type   = data.dcvaas_certificate.this.key_type
    not_before = data.dcvaas_certificate.this.not_before
    not_after  = data.dcvaas_certificate.this.not_after
    sha256     = data.dcvaas_certificate.this.fingerprint_sha256
  }
}

output "fullchain_pem" {
  description = "The certificate and its chain."
  value       = data.dcvaas_certificate.this.fullchain_pem
}
