# By the login at GitHub, or by the user's id.
terraform import dcvaas_organization_member.octocat octocat
terraform import dcvaas_organization_member.octocat usr_01k9z5w7r8e4bs6v0q1d2m3n4p
