terraform {
  required_providers {
    dcvaas = {
      source = "dcvaas/dcvaas"
    }
  }
}

# Endpoint and token may come from DCVAAS_ENDPOINT and DCVAAS_API_TOKEN instead, and the token from a file.
provider "dcvaas" {
  endpoint       = "https://dcvaas.example.com"
  api_token_file = "/run/secrets/dcvaas-token"
}
