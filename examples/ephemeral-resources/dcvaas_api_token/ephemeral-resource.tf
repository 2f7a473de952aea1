# A read-only token that is revoked at the end of the run.
ephemeral "dcvaas_api_token" "reader" {
  name       = "terraform, reading"
  scopes     = ["domains:read"]
  expires_in = "30m"
}

provider "dcvaas" {
  alias     = "reader"
  api_token = ephemeral.dcvaas_api_token.reader.token
}

data "dcvaas_domains" "all" {
  provider = dcvaas.reader
}
