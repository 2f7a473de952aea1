resource "dcvaas_organization_member" "octocat" {
  login = "octocat"
  role  = "admin"
}
