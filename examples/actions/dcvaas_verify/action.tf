resource "dcvaas_domain" "example" {
  name = "example.com"
}

# In the place of a record of your DNS provider.
resource "terraform_data" "record" {
  input = dcvaas_domain.example.delegation

  lifecycle {
    action_trigger {
      events  = [after_create, after_update]
      actions = [action.dcvaas_verify.example]
    }
  }
}

# As soon as the record is made, or by hand: terraform apply -invoke=action.dcvaas_verify.example
action "dcvaas_verify" "example" {
  config {
    domain = dcvaas_domain.example.id
  }
}
