# By the ID or name of the domain.
terraform import dcvaas_domain_validation.example dom_01k9z5w7r8e4bs6v0q1d2m3n4p
