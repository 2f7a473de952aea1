package rules_test

import (
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// The cases are those of acme-dns's own tests.
func TestParseNetwork(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"123.123.123.123/32":       "123.123.123.123/32",
		"10.0.0.1/24":              "10.0.0.1/24",
		"2001:db8:a0b:12f0::1/32":  "2001:db8:a0b:12f0::1/32",
		"[::1]/64":                 "::1/64",
		"invalid":                  "",
		"1.2.3.4/33":               "",
		"1.2/24":                   "",
		"1.2.3.4":                  "",
		"12345:db8:a0b:12f0::1/32": "",
		"1234::123::123::1/32":     "",
		"":                         "",
	} {
		if got, err := rules.ParseNetwork(in); got != want || (err == nil) != (want != "") {
			t.Errorf("ParseNetwork(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}
