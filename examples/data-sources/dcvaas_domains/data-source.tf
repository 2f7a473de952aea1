# The shop's domains without a record.
data "dcvaas_domains" "shop" {
  label  = "team=shop"
  status = "pending_cname"
}

output "records" {
  value = { for d in data.dcvaas_domains.shop.domains : d.delegation.name => d.delegation.target }
}
