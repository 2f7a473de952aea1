package dnscheck

import "testing"

func TestHostOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		servers []string
		want    string
	}{
		{[]string{"ada.ns.cloudflare.com.", "bob.ns.cloudflare.com."}, "Cloudflare"},
		{[]string{"ns-12.awsdns-01.com.", "ns-700.awsdns-23.net.", "ns-1234.awsdns-26.org.",
			"ns-1999.awsdns-57.co.uk."}, "Amazon Route 53"},
		{[]string{"ns01.domaincontrol.com.", "ns02.domaincontrol.com."}, "GoDaddy"},
		{[]string{"ns-cloud-a1.googledomains.com."}, "Google Cloud DNS or Squarespace"},
		{[]string{"ns1-07.azure-dns.com.", "ns2-07.azure-dns.net."}, "Azure DNS"},
		{[]string{"dns1.registrar-servers.com."}, "Namecheap"},
		{[]string{"dns1.p01.nsone.net."}, "NS1 or Netlify"},
		{[]string{"hydrogen.ns.hetzner.com.", "helium.ns.hetzner.de."}, "Hetzner"},
		{[]string{"ns-1.gandi.net."}, "Gandi"},
		{[]string{"ns1.vercel-dns.com."}, "Vercel"},
		// two hosts: both must be changed
		{[]string{"ada.ns.cloudflare.com.", "ns1.digitalocean.com."}, ""},
		{[]string{"ns1.evilns.cloudflare.com.example.net."}, ""},
		{[]string{"notgandi.net."}, ""},
		{[]string{"ns1.example.net."}, ""},
		{nil, ""},
	}
	for _, tt := range tests {
		if h, ok := hostOf(tt.servers); h.name != tt.want || ok != (tt.want != "") {
			t.Errorf("hostOf(%v) = %q, want %q", tt.servers, h.name, tt.want)
		}
	}
}
