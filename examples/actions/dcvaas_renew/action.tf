resource "dcvaas_domain" "example" {
  name = "example.com"
}

# terraform apply -invoke=action.dcvaas_renew.example
action "dcvaas_renew" "example" {
  config {
    domain  = dcvaas_domain.example.name
    timeout = "15m"
  }
}
