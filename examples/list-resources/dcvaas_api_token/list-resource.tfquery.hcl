# terraform query
list "dcvaas_api_token" "all" {
  provider = dcvaas
}
