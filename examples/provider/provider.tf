terraform {
  required_providers {
    dcvaas = {
      source = "dcvaas/dcvaas"
    }
  }
}

# Alternatively, set DCVAAS_ENDPOINT and DCVAAS_API_TOKEN, or read the token from a file.
provider "dcvaas" {
  endpoint       = "https://dcvaas.example.com"
  api_token_file = "/run/secrets/dcvaas-token"
}
