import {
  to = dcvaas_dns_connection.ns1
  id = "con_01k9z5w7r8e4bs6v0q1d2m3n4p"
}
