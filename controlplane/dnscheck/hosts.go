package dnscheck

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// dnsHost is a company that runs name servers, and the labels of its form for records.
type dnsHost struct {
	name string
	// suffixes of its name servers' names; "*" matches any characters within a label
	servers  []string
	hostForm string // label of the owner name, which is entered without the zone
	value    string // label of the target
	dot      bool   // the value must end with a dot, or the host appends the zone
	hint     string
}

// dnsHosts lists the known hosts. The first match applies.
var dnsHosts = [...]dnsHost{
	{name: "Cloudflare", servers: []string{"ns.cloudflare.com", "foundationdns.com",
		"foundationdns.net", "foundationdns.org"},
		hostForm: "Name", value: "Target", hint: `Set the proxy status to "DNS only".`},
	{name: "Amazon Route 53", servers: []string{"awsdns-*.com", "awsdns-*.net", "awsdns-*.org",
		"awsdns-*.co.uk"},
		hostForm: "Record name", value: "Value", hint: `Leave "Alias" off.`},
	{name: "GoDaddy", servers: []string{"domaincontrol.com"}, hostForm: "Name", value: "Value"},
	{name: "Google Cloud DNS or Squarespace",
		servers:  []string{"googledomains.com", "squarespacedns.com"},
		hostForm: "DNS name (at Squarespace: Host)",
		value:    "Canonical name (at Squarespace: Data)"},
	{name: "Azure DNS", servers: []string{"azure-dns.com", "azure-dns.net", "azure-dns.org",
		"azure-dns.info"},
		hostForm: "Name", value: "Alias", hint: `Set "Alias record set" to No.`},
	{name: "DigitalOcean", servers: []string{"digitalocean.com"},
		hostForm: "Hostname", value: "Is an alias of", dot: true},
	{name: "Namecheap", servers: []string{"registrar-servers.com", "namecheaphosting.com"},
		hostForm: "Host", value: "Target"},
	{name: "Gandi", servers: []string{"gandi.net"}, hostForm: "Name", value: "Hostname", dot: true},
	{name: "OVHcloud", servers: []string{"ovh.net", "ovh.ca", "anycast.me"},
		hostForm: "Sub-domain", value: "Target", dot: true},
	{name: "Hetzner", servers: []string{"ns.hetzner.com", "ns.hetzner.de", "your-server.de",
		"second-ns.com", "second-ns.de"},
		hostForm: "Name", value: "Value", dot: true},
	{name: "Vercel", servers: []string{"vercel-dns.com"}, hostForm: "Name", value: "Value"},
	{name: "NS1 or Netlify", servers: []string{"nsone.net"},
		hostForm: "Name", value: "Answer (at Netlify: Value)"},
	{name: "DNSimple", servers: []string{"dnsimple.com", "dnsimple-edge.net", "dnsimple-edge.org",
		"dnsimple-edge.com", "dnsimple-edge.io"}, hostForm: "Name", value: "Content"},
	{name: "Akamai", servers: []string{"akam.net", "akamaiedge.net"},
		hostForm: "Name", value: "Target"},
	{name: "Linode", servers: []string{"linode.com"}, hostForm: "Hostname", value: "Alias to"},
	{name: "IONOS", servers: []string{"ui-dns.com", "ui-dns.org", "ui-dns.de", "ui-dns.biz"},
		hostForm: "Host name", value: "Points to"},
	{name: "Porkbun", servers: []string{"porkbun.com"}, hostForm: "Host", value: "Answer"},
	{name: "Hostinger", servers: []string{"dns-parking.com"}, hostForm: "Name", value: "Target"},
	{name: "Wix", servers: []string{"wixdns.net"}, hostForm: "Host name", value: "Value"},
	{name: "bunny.net", servers: []string{"bunny.net"}, hostForm: "Hostname", value: "Destination"},
	{name: "deSEC", servers: []string{"desec.io", "desec.org"},
		hostForm: "Subname", value: "Content", dot: true},
	{name: "INWX", servers: []string{"inwx.de", "inwx.eu", "inwx.com"},
		hostForm: "Name", value: "Value"},
	{name: "TransIP", servers: []string{"transip.net", "transip.nl", "transip.eu"},
		hostForm: "Name", value: "Value", dot: true},
	{name: "Infomaniak", servers: []string{"infomaniak.ch", "infomaniak.com"},
		hostForm: "Source", value: "Target"},
	{name: "Alibaba Cloud DNS", servers: []string{"alidns.com", "hichina.com"},
		hostForm: "Host", value: "Value"},
	{name: "DNSPod", servers: []string{"dnspod.net", "dnspod.com"},
		hostForm: "Host", value: "Value"},
	{name: "the playground DNS", servers: []string{"playground.test"},
		hostForm: "Name", value: "Values",
		hint: "The playground expects the full name, on its page or in PUT /records."},
}

// hostOf returns the host of a zone by its name servers. All of them must belong to it, because a
// zone at two hosts must be changed at both.
func hostOf(servers []string) (dnsHost, bool) {
	if len(servers) == 0 {
		return dnsHost{}, false
	}
	for _, h := range dnsHosts {
		mine := 0
		for _, s := range servers {
			if h.runs(s) {
				mine++
			}
		}
		if mine == len(servers) {
			return h, true
		}
	}
	return dnsHost{}, false
}

func (h dnsHost) runs(server string) bool {
	for _, pattern := range h.servers {
		if matchEnd(dns.SplitDomainName(server), dns.SplitDomainName(pattern)) {
			return true
		}
	}
	return false
}

// matchEnd reports whether the last labels match a pattern.
func matchEnd(labels, pattern []string) bool {
	if len(labels) < len(pattern) {
		return false
	}
	for i, p := range pattern {
		have := labels[len(labels)-len(pattern)+i]
		prefix, wild := strings.CutSuffix(p, "*")
		if have != p && (!wild || !strings.HasPrefix(have, prefix)) {
			return false
		}
	}
	return true
}

// place is where to create a record: the zone, and the name as its host expects it.
type place struct {
	dnsHost
	known    bool   // the host is known
	at       string // " at Cloudflare"; empty if the name servers are unknown
	zone     string // for display
	relative string // the name without the zone; "@" for the zone's apex
}

func (l *lookup) placeOf(z zone, name string) place {
	apex := z.apex
	if apex == "" || !dns.IsSubDomain(apex, name) {
		apex = registrable(name)
	}
	p := place{zone: display(apex), relative: strings.TrimSuffix(strings.TrimSuffix(name, apex),
		".")}
	if p.relative == "" {
		p.relative = "@"
	}
	p.dnsHost, p.known = hostOf(z.servers)
	switch {
	case p.known:
		p.at = " at " + p.dnsHost.name
	case len(z.servers) > 0:
		p.at = " at the DNS host with the name servers " + joined(z.servers)
	}
	return p
}

// create returns the instruction to create the record, as the rest of a sentence.
func (l *lookup) create(z zone) string { return l.instruct("create this record", z) }

// instruct returns an instruction for the CNAME: what to do, where, and the record to copy.
func (l *lookup) instruct(what string, z zone) string {
	p := l.placeOf(z, l.challenge)
	nameField, valueField, value := "Name", "Value", display(l.target)
	if p.known {
		nameField, valueField = p.hostForm, p.value
	}
	if p.dot {
		value += "."
	}
	text := fmt.Sprintf(
		"%s%s in the zone %s:\n  Type: CNAME\n  %s: %s (in full: %s)\n  %s: %s\n  TTL: 300",
		what, p.at, p.zone, nameField, p.relative, display(l.challenge), valueField, value)
	if !p.known {
		text += "\nIf the form expects full names, enter the full name. If the host appends the zone to values, end the value with a dot."
	}
	if p.hint != "" {
		text += "\n" + p.hint
	}
	return text
}

// instructCAA returns an instruction to add CAA records at a name, each in zone-file form and as
// form fields.
func (l *lookup) instructCAA(what string, z zone, name string, add []caaProperty) string {
	p := l.placeOf(z, name)
	nameField := "Name"
	if p.known {
		nameField = p.hostForm
	}
	text := what + p.at + " in the zone " + p.zone + ":"
	for _, a := range add {
		text += fmt.Sprintf("\n  %s CAA %s\n    %s: %s, flags: 0, tag: %s, value: %s", name, a,
			nameField, p.relative, a.tag, a.value)
	}
	return text
}
