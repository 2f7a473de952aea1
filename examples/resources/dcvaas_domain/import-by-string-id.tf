import {
  to = dcvaas_domain.example
  id = "example.com"
}
