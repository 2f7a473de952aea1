# terraform query -generate-config-out=webhooks.tf
list "dcvaas_webhook" "all" {
  provider         = dcvaas
  include_resource = true
}
