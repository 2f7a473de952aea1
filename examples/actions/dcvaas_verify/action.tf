resource "dcvaas_domain" "example" {
  name = "example.com"
}

# Replace this with a record of your DNS provider.
resource "terraform_data" "record" {
  input = dcvaas_domain.example.delegation

  lifecycle {
    action_trigger {
      events  = [after_create, after_update]
      actions = [action.dcvaas_verify.example]
    }
  }
}

# Runs after the record is created, or manually: terraform apply -invoke=action.dcvaas_verify.example
action "dcvaas_verify" "example" {
  config {
    domain = dcvaas_domain.example.id
  }
}
