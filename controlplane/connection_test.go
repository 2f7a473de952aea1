package controlplane_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const tsigSecret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTAxMjM="

func TestCanonicalCredentials(t *testing.T) {
	t.Parallel()
	in := controlplane.RFC2136Credentials{Server: "NS1.Example.com", KeyName: "Key_1.example.COM.",
		KeySecret: tsigSecret, Zones: []string{"example.org", "Bücher.example.", "example.org."}}
	want := controlplane.RFC2136Credentials{Server: "ns1.example.com:53",
		KeyName: "key_1.example.com", Algorithm: controlplane.HMACSHA256, KeySecret: tsigSecret,
		Zones: []string{"example.org", "xn--bcher-kva.example"}}
	got, invalid := in.Canonical()
	if diff := cmp.Diff(want, got); diff != "" || len(invalid) > 0 {
		t.Errorf("Canonical() = %v, (-want +got)\n%s", invalid, diff)
	}
	if in.Zones[0] != "example.org" {
		t.Errorf("Canonical() changed its receiver: %q", in.Zones)
	}
	for server, want := range map[string]string{"192.0.2.1": "192.0.2.1:53",
		"[2001:db8::1]:5353": "[2001:db8::1]:5353", "2001:db8::1": "[2001:db8::1]:53",
		"ns.example.com:1053": "ns.example.com:1053"} {
		in.Server = server
		if got, invalid := in.Canonical(); got.Server != want || len(invalid) > 0 {
			t.Errorf("Canonical() of server %s = %s, %v, want %s", server, got.Server, invalid, want)
		}
	}
	good := want
	for pointer, change := range map[string]func(*controlplane.RFC2136Credentials){
		"/credentials/server": func(c *controlplane.RFC2136Credentials) {
			c.Server = "ns.example.com:0"
		},
		"/credentials/key_name": func(c *controlplane.RFC2136Credentials) { c.KeyName = "a b" },
		"/credentials/key_algorithm": func(c *controlplane.RFC2136Credentials) {
			c.Algorithm = "hmac-md5"
		},
		"/credentials/key_secret": func(c *controlplane.RFC2136Credentials) {
			c.KeySecret = tsigSecret[:8]
		},
		"/credentials/zones": func(c *controlplane.RFC2136Credentials) { c.Zones = nil },
		"/credentials/zones/1": func(c *controlplane.RFC2136Credentials) {
			c.Zones = []string{"example.com", "a..b"}
		},
	} {
		c := good
		change(&c)
		_, invalid := c.Canonical()
		if len(invalid) != 1 || invalid[0].Pointer != pointer ||
			strings.Contains(invalid[0].Detail, tsigSecret[:8]) {
			t.Errorf("Canonical() = %+v, want one error at %s without the secret", invalid, pointer)
		}
	}
}

func TestZoneOf(t *testing.T) {
	t.Parallel()
	zones := []string{"example.com", "sub.example.com", "example.org"}
	for name, want := range map[string]string{
		"_acme-challenge.example.com": "example.com", "example.com": "example.com",
		"_acme-challenge.a.sub.example.com":   "sub.example.com",
		"_acme-challenge.notsub.example.com":  "example.com",
		"_acme-challenge.notexample.com":      "",
		"_acme-challenge.example.com.invalid": "",
	} {
		if got := controlplane.ZoneOf(name, zones); got != want {
			t.Errorf("ZoneOf(%s) = %q, want %q", name, got, want)
		}
	}
}

func TestSameRecords(t *testing.T) {
	t.Parallel()
	set := func(kind string, values ...string) controlplane.RecordSet {
		return controlplane.RecordSet{Name: "a.example.com", Type: kind, Values: values}
	}
	for _, c := range []struct {
		a, b []controlplane.RecordSet
		want bool
	}{
		{nil, nil, true},
		{[]controlplane.RecordSet{set("A", "1", "2"), set("TXT", "x")},
			[]controlplane.RecordSet{set("TXT", "x"), set("A", "2", "1")}, true},
		{[]controlplane.RecordSet{set("A", "1", "2")}, []controlplane.RecordSet{set("A", "1")}, false},
		{[]controlplane.RecordSet{set("A", "1")}, nil, false},
		{[]controlplane.RecordSet{set("A", "1"), set("A", "1")},
			[]controlplane.RecordSet{set("A", "1"), set("TXT", "1")}, false},
	} {
		if got := controlplane.SameRecords(c.a, c.b); got != c.want {
			t.Errorf("SameRecords(%v, %v) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}
