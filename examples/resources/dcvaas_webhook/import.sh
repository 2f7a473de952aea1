# By ID. The import does not include the secret.
terraform import dcvaas_webhook.certificates whk_01k9z5w7r8e4bs6v0q1d2m3n4p
