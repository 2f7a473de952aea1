package rules_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

func TestParseAdditionalName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(strings.Repeat("a", 46)+".", 5) + "de" // 237 characters
	for in, want := range map[string]string{
		"WWW.Example.COM.": "www.example.com", "*.Example.com": "*.example.com",
		"*.bücher.example": "*.xn--bcher-kva.example", "*.github.io": "*.github.io",
		"*." + long: "*." + long, "a.b.c.d.e.f.g.h.example.com": "a.b.c.d.e.f.g.h.example.com",
		"*.a.b.c.d.e.f.g.h.example.com": "*.a.b.c.d.e.f.g.h.example.com",
	} {
		if got, err := rules.ParseAdditionalName(in); err != nil || got != want {
			t.Errorf("ParseAdditionalName(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for in, code := range map[string]string{
		"": "name-empty", "*.": "name-empty", "*": "name-wildcard", "*.*.example.com": "name-wildcard",
		"*.*": "name-wildcard", "a.*.example.com": "name-invalid", "*a.example.com": "name-invalid",
		"com": "name-public-suffix", "*.com": "name-public-suffix", "*.co.uk": "name-public-suffix",
		"*.foo.ck": "name-public-suffix", "nas.lan": "name-unknown-tld", "192.0.2.1": "name-ip",
		"*.x.onion": "name-special-use", "*._acme-challenge.example.com": "name-challenge",
		"*.x" + long: "name-too-long", "*.1.2.3.4.5.6.7.8.9.example.com": "name-too-many-labels",
		"https://example.com": "name-invalid", "a.example.com b.example.com": "name-invalid",
		strings.Repeat("a", 1025): "too-long",
	} {
		got, err := rules.ParseAdditionalName(in)
		if e, ok := errors.AsType[*rules.Error](err); got != "" || !ok || e.Code != code ||
			e.Fix == "" || e.Message == "" {
			t.Errorf("ParseAdditionalName(%.60q) = %q, %v, want the code %s with message and fix", in,
				got, err, code)
		}
	}
}

func TestCheckAdditionalNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what, name string
		wildcard   bool
		additional []string
		want       map[int]string
	}{
		{"no names", "example.com", true, nil, nil},
		{"several registered domains", "example.com", false,
			[]string{"*.example.net", "example.net", "www.example.com"}, nil},
		{"a wildcard of the name", "example.com", false, []string{"*.example.com"}, nil},
		{"below another level", "example.com", true,
			[]string{"a.b.example.com", "*.b.example.com", "*.c.example.com"},
			map[int]string{0: "name-redundant"}},
		{"two levels below a wildcard", "example.com", true,
			[]string{"a.b.example.com", "*.c.example.com"}, nil},
		{"the name again", "example.com", false, []string{"example.com"},
			map[int]string{0: "name-duplicate"}},
		{"the wildcard again", "example.com", true, []string{"a.test", "*.example.com"},
			map[int]string{1: "name-duplicate"}},
		{"one name three times", "example.com", false, []string{"a.test", "b.test", "a.test",
			"a.test"}, map[int]string{2: "name-duplicate", 3: "name-duplicate"}},
		{"covered by the option", "example.com", true, []string{"www.example.com"},
			map[int]string{0: "name-redundant"}},
		{"covered by an additional name, before and after", "example.com", false,
			[]string{"a.example.net", "*.example.net", "b.example.net"},
			map[int]string{0: "name-redundant", 2: "name-redundant"}},
		{"the name covered", "www.example.com", false, []string{"example.com", "*.example.com"},
			map[int]string{1: "name-redundant"}},
		{"the name covered, with its wildcard", "www.example.com", true,
			[]string{"*.example.com"}, map[int]string{0: "name-redundant"}},
		{"names that are skipped", "", true, []string{"", "", "a.test", "a.test"},
			map[int]string{3: "name-duplicate"}},
		{"both kinds", "example.com", true, []string{"www.example.com", "www.example.com"},
			map[int]string{0: "name-redundant", 1: "name-duplicate"}},
	} {
		got := map[int]string{}
		for i, e := range rules.CheckAdditionalNames(tt.name, tt.wildcard, tt.additional) {
			got[i] = e.Code
			if e.Message == "" || e.Fix == "" {
				t.Errorf("%s: the error of name %d = %+v, want a message and a fix", tt.what, i, e)
			}
		}
		want := map[int]string{}
		maps.Copy(want, tt.want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: codes by index (-want +got):\n%s", tt.what, diff)
		}
	}
}

func TestBaseName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"example.com": "example.com",
		"*.example.com": "example.com"} {
		if got := rules.BaseName(in); got != want {
			t.Errorf("BaseName(%q) = %q, want %q", in, got, want)
		}
	}
}
