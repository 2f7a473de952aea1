import {
  to = dcvaas_organization_member.octocat
  id = "octocat"
}
