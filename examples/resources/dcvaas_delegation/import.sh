# By name or ID.
terraform import dcvaas_delegation.example example.com
terraform import dcvaas_delegation.example dlg_01k9z5w7r8e4bs6v0q1d2m3n4p
