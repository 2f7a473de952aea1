package rules_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// longName returns a name of n characters, in labels of at most 63.
func longName(n int) string {
	s := strings.Repeat(strings.Repeat("a", 59)+".", 5)
	return s[len(s)-(n-len("b.test")):] + "b.test"
}

func TestParseName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"example.com":                  "example.com",
		"Example.COM":                  "example.com",
		"example.com.":                 "example.com",
		"a.b.c.example.co.uk":          "a.b.c.example.co.uk",
		"me.github.io":                 "me.github.io",
		"bücher.example":               "xn--bcher-kva.example",
		"BÜCHER.example.":              "xn--bcher-kva.example",
		"xn--bcher-kva.example":        "xn--bcher-kva.example",
		"XN--BCHER-KVA.example":        "xn--bcher-kva.example",
		"faß.de":                       "xn--fa-hia.de", // no transitional mapping to fass.de
		"例え.テスト.example":               "xn--r8jz45g.xn--zckzah.example",
		"ＥＸＡＭＰＬＥ。com":                  "example.com",
		"example.com。":                 "example.com",
		"ex\u00adample.com":            "example.com",
		"r-3--sn.example.com":          "r-3--sn.example.com",
		"1.example.com":                "1.example.com",
		"123.com":                      "123.com",
		strings.ToUpper(longName(237)): longName(237),
		longName(237) + ".":            longName(237),
		"onion.com":                    "onion.com",
		"local.example.com":            "local.example.com",
		"arpa.example.org":             "arpa.example.org",
		"straße.example":               "xn--strae-oqa.example",
		"a.test":                       "a.test",    // for test CAs
		"github.io":                    "github.io", // the list's private section
		"compute.amazonaws.com":        "compute.amazonaws.com",
		"www.ck":                       "www.ck", // an exception of *.ck
		"city.kawasaki.jp":             "city.kawasaki.jp",
		"example.公司.cn":                "example.xn--55qx5d.cn",
		"1.2.3.4.5.6.7.8.example.com":  "1.2.3.4.5.6.7.8.example.com", // 10 labels
		"my-host.xn--p1ai":             "my-host.xn--p1ai",
	} {
		if got, err := rules.ParseName(in); err != nil || got != want {
			t.Errorf("ParseName(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestParseName_rejects(t *testing.T) {
	t.Parallel()
	for code, names := range map[string][]string{
		"name-empty":    {"", ".", "。"},
		"name-wildcard": {"*", "*.", "*.example.com", "*.*.example.com"},
		"name-ip": {"192.0.2.1", "192.0.2.1.", "2001:db8::1", "[2001:db8::1]", "::1",
			"fe80::1%eth0", "::ffff:192.0.2.1",
			"192.0.2", "1.2.3.4.5", "１.２.３.４", "example.123"},
		"name-too-many-labels": {"1.2.3.4.5.6.7.8.9.example.com",
			"1.2.3.4.5.6.7.8.9.example.com.", strings.Repeat("a.", 40) + "example.com",
			"1.2.3.4.5.6.7.8.9.example.co.uk"},
		"name-public-suffix": {"com", "COM.", "localhost", "onion", "arpa", "co.uk", "CO.UK.", "foo.ck", "公司.cn",
			"xn--55qx5d.cn", "foo.kawasaki.jp"},
		"name-unknown-tld": {"nas.lan", "host.corp", "a.b.home", "server.localdomain",
			"example.comm"},
		"name-special-use": {"shop.onion", "a.b.onion", "SHOP.Onion.", "shop。onion", "shop.ｏｎｉｏｎ",
			"printer.local", "x.invalid", "app.localhost", "db.internal", "x.alt",
			"home.arpa", "nas.home.arpa", "in-addr.arpa", "2.0.192.in-addr.arpa",
			"8.b.d.0.1.0.0.2.ip6.arpa", "resolver.arpa", "ipv4only.arpa"},
		"name-too-long": {longName(238), longName(253), longName(254), longName(300),
			strings.Repeat("a", 300),
			strings.Repeat("a", 300) + ".com",
			strings.Repeat("ü.", 200) + "com"},
		"too-long":       {strings.Repeat("x", 1025), strings.Repeat("x", 1<<20)},
		"name-challenge": {"_acme-challenge.example.com", "_ACME-Challenge.example.com."},
		"name-invalid": {" example.com", "example.com ", "exa mple.com", "example.com\n",
			"\texample.com", "example\u00a0.com",
			"https://example.com", "example.com/", "example.com/path", "example.com:443",
			"user@example.com", "example.com?q", "example.com#f",
			"[2001:db8::1]:443", "under_score.example.com", "-a.example.com", "a-.example.com",
			"example-.com", "xn--.com", "xn--a.com", "xn--a-.com", "r3---sn.example.com",
			"a..example.com", "example.com..", "..", ".example.com", "example.com.。",
			"exa\u3002\u3002mple.com",
			"😀.example.com", "☃.example.com", "I♥.example.com", "\xff.example.com",
			"example.com\x00", "a,b.example.com", "a!.example.com",
			"foo.*.example.com", "f*.example.com", strings.Repeat("a", 64) + ".example.com"},
	} {
		for _, in := range names {
			got, err := rules.ParseName(in)
			e, ok := errors.AsType[*rules.Error](err)
			if !ok || got != "" || e.Code != code || e.Message == "" || e.Fix == "" {
				t.Errorf("ParseName(%.80q) = %q, %#v, want the code %s", in, got, err, code)
				continue
			}
			if !utf8.ValidString(e.Message) || len(e.Message) > 250 {
				t.Errorf("ParseName(%.80q) has the message %q, want at most 250 bytes of valid UTF-8", in, e.Message)
			}
		}
	}
}

func TestParseName_fix(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"_acme-challenge.www.example.com.": " www.example.com.",
		"me@example.com":                   "its domain: example.com.",
		"https://me@example.com":           "only the host name",
		"*.example.com":                    "set wildcard to true",
		"under_score.example.com":          "without underscores",
		"co.uk":                            "such as example.co.uk",
	} {
		_, err := rules.ParseName(in)
		if e, ok := errors.AsType[*rules.Error](err); !ok || !strings.Contains(e.Fix, want) {
			t.Errorf("ParseName(%q) = %v, want a fix with %q", in, err, want)
		}
	}
}

// CanonicalName accepts names that no certificate can have, so that stored ones are found.
func TestCanonicalName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"Bücher.Example.": "xn--bcher-kva.example",
		"CO.UK": "co.uk", "nas.LAN": "nas.lan", "shop.onion": "shop.onion",
		"1.2.3.4.5.6.7.8.9.Example.com": "1.2.3.4.5.6.7.8.9.example.com"} {
		if got, err := rules.CanonicalName(in); err != nil || got != want {
			t.Errorf("CanonicalName(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "com", "*.example.com", "a b.com", "192.0.2.1"} {
		if got, err := rules.CanonicalName(in); err == nil {
			t.Errorf("CanonicalName(%q) = %q, want an error", in, got)
		}
	}
}

func TestUnicodeName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"xn--mller-kva.de": "müller.de", "Müll": "müll", "MU\u0308LLER": "müller",
		"shop.xn--mller-kva.de": "shop.müller.de", "Example.COM": "example.com",
		"": "", "a_b": "a_b", "-ü": "-ü", ".de": ".de", "*.ü": "*.ü",
	} {
		if got := rules.UnicodeName(in); got != want {
			t.Errorf("UnicodeName(%q) = %q, want %q", in, got, want)
		}
	}
}

// Let's Encrypt counts by the whole list, and a public suffix alone.
func TestRegisteredDomain(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"a.b.example.com": "example.com",
		"example.co.uk": "example.co.uk", "www.me.github.io": "me.github.io",
		"me.github.io": "me.github.io", "github.io": "github.io", "com": "com",
		"a.b.c.test": "c.test", "a.b.www.ck": "www.ck"} {
		if got := rules.RegisteredDomain(in); got != want {
			t.Errorf("RegisteredDomain(%s) = %s, want %s", in, got, want)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"example.com", "*.a", "[::1]", "bücher.example",
		"xn--bcher-kva.example", "a..b", "example.com。", "_acme-challenge.a.b", "1.2.3.4",
		"ex\u00adample.com", "a\u200d.com", "אב1.com", "a.onion", "a.home.arpa", "onion.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := rules.ParseName(s)
		if err != nil {
			if e, ok := errors.AsType[*rules.Error](err); !ok || name != "" || e.Fix == "" {
				t.Errorf("ParseName(%q) = %q, %#v, want a *rules.Error with a fix", s, name, err)
			}
			return
		}
		if again, err := rules.ParseName(name); err != nil || again != name {
			t.Errorf("ParseName(%q) = %q, %v, want the same name", name, again, err)
		}
		const allowed = "abcdefghijklmnopqrstuvwxyz0123456789-."
		if len(rules.ChallengeName(name)) > 253 || strings.Trim(name, allowed) != "" ||
			!strings.Contains(name, ".") {
			t.Errorf("ParseName(%q) = %q, want at least two labels of LDH characters, and room for the challenge label", s, name)
		}
	})
}
