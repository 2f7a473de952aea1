# By GitHub login or user ID.
terraform import dcvaas_organization_member.octocat octocat
terraform import dcvaas_organization_member.octocat usr_01k9z5w7r8e4bs6v0q1d2m3n4p
