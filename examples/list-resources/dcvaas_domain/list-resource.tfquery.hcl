# terraform query -generate-config-out=domains.tf
list "dcvaas_domain" "shop" {
  provider         = dcvaas
  include_resource = true
  limit            = 500

  config {
    label = "team=shop"
  }
}
