package provider

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	dnsPart    = regexp.MustCompile(`(?m)^# \d\. `)
	commented  = regexp.MustCompile(`(?m)^# ?`)
	ownRecord  = regexp.MustCompile(`(?s)# 2\. The record.*?(# 4\. )`)
	ownVersion = regexp.MustCompile(`(?m)^ *required_version.*\n`)
)

// Each part of dns.tf.example replaces the record and the wait of the quickstart, as its comments
// say. With -documents.full it is applied, with stubs of the DNS hosts.
func TestExampleDNSHosts(t *testing.T) {
	folder := filepath.Join(examples, "quickstart")
	parts := dnsPart.Split(readFile(&acc{T: t}, filepath.Join(folder, "dns.tf.example")), -1)[1:]
	hosts := []string{"hashicorp/aws", "cloudflare/cloudflare", "hashicorp/google"}
	if len(parts) != len(hosts) {
		t.Fatalf("dns.tf.example has %d parts, want %d", len(parts), len(hosts))
	}
	main := readFile(&acc{T: t}, filepath.Join(folder, "main.tf"))
	replaced := ownRecord.ReplaceAllString(ownVersion.ReplaceAllString(main, ""), "$1")
	for i, host := range hosts {
		t.Run(host, func(t *testing.T) {
			d := newDocRun(t, "quickstart "+host)
			d.env = append(d.env, "TF_VAR_playground_url="+d.playground, "TF_VAR_zone_id=Z1",
				"TF_VAR_managed_zone=zone")
			_, local, _ := strings.Cut(host, "/")
			_, text, _ := strings.Cut(parts[i], "\n")
			d.required[local] = local + ` = { source = "` + host + `" }`
			d.files = map[string]string{"main.tf": replaced,
				"dns.tf": commented.ReplaceAllString(text, "")}
			d.apply("dns.tf.example, "+host, *allDocuments)
			d.end(*allDocuments)
		})
	}
}
