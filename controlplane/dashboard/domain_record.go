package dashboard

import (
	"fmt"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// recordTTL is the suggested TTL in seconds. Any value works because the record never changes.
const recordTTL = 300

// recordView is the record to create, in the formats of common DNS hosts.
type recordView struct {
	Pill  pill
	Zone  string // registered domain, which relative hosts are relative to
	Sub   bool   // Name is below the registered domain and may be a separate zone
	Name  string
	Forms []recordForm
}

// recordForm is the record in the format of one DNS host or tool.
type recordForm struct {
	ID     string
	Title  string
	Note   string
	Fields []recordField
	Code   []recordCode
}

// recordField is a field of a DNS host's form.
type recordField struct {
	ID    string
	Label string
	Value string
	Hint  string
	Copy  bool
}

// recordCode is text to copy.
type recordCode struct {
	ID    string
	Title string
	Text  string
}

func (d *Dashboard) recordView(
	domain *controlplane.Domain, s controlplane.Summary,
) *recordView {
	record := d.lifecycle.DelegationOf(domain)
	zone := controlplane.RegisteredDomain(domain.Name)
	host := strings.TrimSuffix(record.Name, "."+zone)
	view := &recordView{Pill: conditionPill(domain, controlplane.DNSReady, s.State), Zone: zone,
		Sub: zone != domain.Name, Name: domain.Name}
	ttl := fmt.Sprint(recordTTL)
	field := func(form, label, value, hint string) recordField {
		id := form + "-" + strings.ToLower(strings.NewReplacer(" ", "-", "(", "", ")",
			"").Replace(label))
		return recordField{ID: id, Label: label, Value: value, Hint: hint, Copy: true}
	}
	setting := func(label, value, hint string) recordField {
		return recordField{Label: label, Value: value, Hint: hint}
	}
	view.Forms = []recordForm{
		{ID: "any", Title: "Any DNS host", Fields: []recordField{
			field("any", "Type", record.Type, ""),
			field("any", "Host", host, "relative to the zone "+zone),
			field("any", "Full host", record.Name, "if the form requires the full name"),
			field("any", "Value", record.Target, ""),
			field("any", "TTL", ttl, "seconds; any value works"),
		}},
		{ID: "cloudflare", Title: "Cloudflare", Fields: []recordField{
			setting("Type", record.Type, ""),
			field("cloudflare", "Name", host, ""),
			field("cloudflare", "Target", record.Target, ""),
			setting("Proxy status", "DNS only", "a proxied record hides the CNAME"),
			setting("TTL", "Auto", ""),
		}},
		{ID: "godaddy", Title: "GoDaddy", Fields: []recordField{
			setting("Type", record.Type, ""),
			field("godaddy", "Name", host, ""),
			field("godaddy", "Value", record.Target, ""),
			setting("TTL", "Default", ""),
		}},
		{ID: "route53", Title: "Route 53", Fields: []recordField{
			field("route53", "Record name", host, ""),
			setting("Record type", record.Type, ""),
			setting("Alias", "Off", ""),
			field("route53", "Value", record.Target, ""),
			field("route53", "TTL", ttl, ""),
		}},
		{ID: "bind", Title: "BIND", Note: "Add this line to the zone file of " + zone +
			", increase the serial, and reload the zone.", Code: []recordCode{
			{ID: "bind-line", Title: "Zone file",
				Text: fmt.Sprintf("%s. %d IN CNAME %s.", record.Name, recordTTL, record.Target)},
			{ID: "bind-nsupdate", Title: "nsupdate",
				Text: fmt.Sprintf("update add %s. %d CNAME %s.\nsend", record.Name, recordTTL,
					record.Target)},
		}},
		{ID: "terraform", Title: "Terraform", Note: "Use the Terraform provider of your DNS host.",
			Code: []recordCode{
				{ID: "terraform-route53", Title: "Amazon Route 53",
					Text: terraform(`resource "aws_route53_record" "acme_challenge" {
  zone_id = var.zone_id
  name    = "%s"
  type    = "CNAME"
  ttl     = %d
  records = ["%s"]
}`, record)},
				{ID: "terraform-cloudflare", Title: "Cloudflare",
					Text: terraform(`resource "cloudflare_dns_record" "acme_challenge" {
  zone_id = var.zone_id
  name    = "%s"
  type    = "CNAME"
  ttl     = %d
  content = "%s"
  proxied = false
}`, record)},
			}},
	}
	return view
}

// terraform fills in a resource. Names and targets have only letters, digits, hyphens, dots, and
// underscores, so nothing needs to be quoted.
func terraform(form string, r controlplane.Record) string {
	return fmt.Sprintf(form, r.Name, recordTTL, r.Target)
}
