# By ID. The import does not include the credentials.
terraform import dcvaas_dns_connection.ns1 con_01k9z5w7r8e4bs6v0q1d2m3n4p
