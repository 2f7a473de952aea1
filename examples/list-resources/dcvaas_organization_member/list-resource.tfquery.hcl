# terraform query -generate-config-out=members.tf
list "dcvaas_organization_member" "all" {
  provider         = dcvaas
  include_resource = true
}
