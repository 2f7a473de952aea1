data "dcvaas_certificate" "example" {
  domain = "example.com" # better: dcvaas_domain_validation.example.domain_id
}

ephemeral "dcvaas_certificate_key" "example" {
  certificate_id = data.dcvaas_certificate.example.id
}

# Pass the key to a write-only argument, here of AWS Secrets Manager.
#
# resource "aws_secretsmanager_secret_version" "key" {
#   secret_id                = aws_secretsmanager_secret.key.id
#   secret_string_wo         = ephemeral.dcvaas_certificate_key.example.private_key_pem
#   secret_string_wo_version = parseint(substr(data.dcvaas_certificate.example.fingerprint_sha256, 0, 12), 16)
# }

# Or pass it to a provisioner, which runs again for each new certificate.
resource "terraform_data" "install" {
  triggers_replace = data.dcvaas_certificate.example.id

  provisioner "local-exec" {
    command = "test -n \"$KEY\"" # your command that deploys the key
    environment = {
      KEY = ephemeral.dcvaas_certificate_key.example.private_key_pem
    }
  }
}
