# A token that may only read, and is revoked when the run ends.
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
