import {
  to = dcvaas_delegation.example
  id = "example.com"
}
