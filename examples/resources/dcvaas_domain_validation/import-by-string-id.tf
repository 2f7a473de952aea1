import {
  to = dcvaas_domain_validation.example
  id = "example.com"
}
