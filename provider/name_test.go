package provider

import (
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

var goodNames = map[string]string{
	"example.com":                             "example.com",
	"Example.COM.":                            "example.com",
	"Bücher.example":                          "xn--bcher-kva.example",
	"xn--bcher-kva.example.":                  "xn--bcher-kva.example",
	"BÜCHER.example":                          "xn--bcher-kva.example",
	"straße.example":                          "xn--strae-oqa.example",
	"ＥＸＡＭＰＬＥ。com。":                            "example.com",
	"a-b.example.com":                         "a-b.example.com",
	"例え.テスト.example":                          "xn--r8jz45g.xn--zckzah.example",
	strings.Repeat("a.", 113) + "example.com": strings.Repeat("a.", 113) + "example.com",
}

var badNames = map[string]string{ // name to a part of what is said
	"":                                "empty",
	".":                               "empty",
	"*":                               "wildcard = true",
	"*.example.com":                   "wildcard = true",
	"192.0.2.1":                       "IP address",
	"2001:db8::1":                     "IP address",
	"[2001:db8::1]":                   "IP address",
	"https://example.com":             "URL",
	"example.com/x":                   "URL",
	"example.com:443":                 "URL",
	"me@example.com":                  "e-mail address",
	"exa mple.com":                    "white space",
	"example..com":                    "not a domain name",
	"-a.example.com":                  "not a domain name",
	"a-.example.com":                  "not a domain name",
	"a_b.example.com":                 "not a domain name",
	strings.Repeat("a", 64) + ".com":  "not a domain name",
	strings.Repeat("a.", 119) + "com": "too long",
	"💩.example.com":                   "not a domain name",
	"☃.example.com":                   "not a domain name",
	"r3---sn.example.com":             "not a domain name",
	"example.com..":                   "not a domain name",
	"_acme-challenge.example.com":     "",
	"shop.onion":                      "special use",
	"Printer.LOCAL.":                  "special use",
	"nas.home.arpa":                   "special use",
	"2.0.192.in-addr.arpa":            "special use",
	"x.invalid":                       "special use",
	"app.localhost":                   "special use",
	"localhost":                       "special use",
	"db.internal":                     "special use",
	"x.alt":                           "special use",
}

// The provider's idea of a name is the control plane's, or a plan could differ from what is stored.
func TestCanonicalNameIsTheControlPlanes(t *testing.T) {
	for in, want := range goodNames {
		got, err := canonicalName(in)
		if err != nil || got != want {
			t.Errorf("%q gives %q, %v; want %q", in, got, err, want)
		}
		theirs, err := controlplane.ParseName("/name", in)
		if err != nil || theirs != got {
			t.Errorf("%q is %q here and %q, %v there", in, got, theirs, err)
		}
	}
	for in, want := range badNames {
		if got, err := canonicalName(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %q, %v; want an error with %q", in, got, err, want)
		}
		if theirs, err := controlplane.ParseName("/name", in); err == nil {
			t.Errorf("%q is refused here and %q there", in, theirs)
		}
	}
}

// Whatever is taken on both sides has the same form, and nothing is refused here that would be taken there.
func FuzzCanonicalName(f *testing.F) {
	for in := range goodNames {
		f.Add(in)
	}
	for in := range badNames {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		theirs, refused := controlplane.ParseName("/name", in)
		ours, err := canonicalName(in)
		if refused == nil && (err != nil || ours != theirs) {
			t.Errorf("%q is %q, %v here and %q there", in, ours, err, theirs)
		}
		if err != nil {
			return
		}
		if again, err := canonicalName(ours); err != nil || again != ours {
			t.Errorf("%q is %q, and that is %q, %v", in, ours, again, err)
		}
	})
}

func TestSameRecord(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"_acme-challenge.example.com", "_ACME-Challenge.Example.COM.", true},
		{"_acme-challenge.bücher.example", "_acme-challenge.xn--bcher-kva.example.", true},
		{"_acme-challenge.example.com", "_acme-challenge.example.com.example.com", false},
		{"_acme-challenge.example.com", "example.com", false},
		{"_acme-challenge", "_acme-challenge.example.com", false},
	} {
		if sameRecord(c.a, c.b) != c.same || sameRecord(c.b, c.a) != c.same {
			t.Errorf("%s and %s: want %v", c.a, c.b, c.same)
		}
	}
}
