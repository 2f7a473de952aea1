package rules_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// Lengths are counted in characters, however many bytes each has.
func TestLengths(t *testing.T) {
	t.Parallel()
	ignoring := func(f func(string) (string, error)) func(string) error {
		return func(s string) error { _, err := f(s); return err }
	}
	for name, c := range map[string]struct {
		most  int
		check func(string) error
	}{
		"DisplayName":         {rules.MaxDisplayName, ignoring(rules.DisplayName)},
		"CheckDescription":    {rules.MaxDescription, rules.CheckDescription},
		"CheckLabelValue":     {rules.MaxLabelValue, rules.CheckLabelValue},
		"CheckPreferredChain": {rules.MaxPreferredChain, rules.CheckPreferredChain},
		"CheckCA":             {rules.MaxCA, rules.CheckCA},
		"CheckSearch":         {rules.MaxSearch, rules.CheckSearch},
		"CheckPassword":       {rules.MaxPassword, rules.CheckPassword},
	} {
		for _, char := range []string{"x", "ü", "€", "😀"} {
			if err := c.check(strings.Repeat(char, c.most)); err != nil {
				t.Errorf("%s(%d times %s) = %v, want no error", name, c.most, char, err)
			}
			if err := c.check(strings.Repeat(char, c.most+1)); !hasCode(err, "too-long") {
				t.Errorf("%s(%d times %s) = %v, want the code too-long", name, c.most+1, char, err)
			}
		}
	}
	for name, c := range map[string]struct {
		most  int
		check func(string) error
	}{
		"ParseName":       {rules.MaxNameInput, ignoring(rules.ParseName)},
		"CheckProfile":    {rules.MaxProfile, rules.CheckProfile},
		"CheckLogin":      {rules.MaxLogin, rules.CheckLogin},
		"CheckWebhookURL": {rules.MaxWebhookURL, func(s string) error { return rules.CheckWebhookURL(s, false) }},
		"WebhookKey":      {rules.MaxWebhookSecret, func(s string) error { _, err := rules.WebhookKey(s); return err }},
		"ParseCSR":        {rules.MaxCSR, func(s string) error { _, err := rules.ParseCSR(s); return err }},
	} {
		for _, char := range []string{"x", "ü"} {
			if err := c.check(strings.Repeat(char, c.most)); hasCode(err, "too-long") {
				t.Errorf("%s(%d times %s) = %v, want no error about the length", name, c.most, char,
					err)
			}
			if err := c.check(strings.Repeat(char, c.most+1)); !hasCode(err, "too-long") {
				t.Errorf("%s(%d times %s) = %v, want the code too-long", name, c.most+1, char, err)
			}
		}
	}
}

func TestDisplayName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"deploy": "deploy", " Büro\t": "Büro"} {
		if got, err := rules.DisplayName(in); got != want || err != nil {
			t.Errorf("DisplayName(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for in, code := range map[string]string{"": "too-short", " \t\n": "name-invalid"} {
		if got, err := rules.DisplayName(in); !hasCode(err, code) {
			t.Errorf("DisplayName(%q) = %q, %v, want the code %s", in, got, err, code)
		}
	}
}

func TestCheckLogin(t *testing.T) {
	t.Parallel()
	for in, code := range map[string]string{"octocat": "", "Octo-Cat_1": "", "": "too-short",
		"@octocat": "login-unknown", "a b": "login-unknown", "ü": "login-unknown",
		"a/../b": "login-unknown"} {
		if err := rules.CheckLogin(in); code == "" && err != nil || code != "" && !hasCode(err, code) {
			t.Errorf("CheckLogin(%q) = %v, want the code %q", in, err, code)
		}
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"2030-01-31T12:00:00Z", "9999-12-31T23:59:59Z",
		"0001-01-01T00:00:00Z", "2030-01-31T12:00:00.123456789+14:00",
		"9999-12-31T23:59:59+01:00"} {
		if got, err := rules.ParseTime(in); err != nil || got.IsZero() && in[0] != '0' {
			t.Errorf("ParseTime(%q) = %v, %v, want a time", in, got, err)
		}
	}
	for _, in := range []string{"", "tomorrow", "2030-01-31", "2030-01-31T12:00:00",
		"2030-02-30T12:00:00Z", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+00:01",
		"0000-12-31T00:00:00Z", "10000-01-01T00:00:00Z"} {
		if got, err := rules.ParseTime(in); !hasCode(err, "invalid-format") {
			t.Errorf("ParseTime(%q) = %v, %v, want the code invalid-format", in, got, err)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d                 time.Duration
		lifetime, overlap bool
	}{
		{0, false, true}, {-time.Second, false, false}, {time.Nanosecond, false, false},
		{time.Second, true, true}, {1500 * time.Millisecond, true, false},
		{7 * 24 * time.Hour, true, true}, {7*24*time.Hour + time.Second, true, false},
	} {
		if err := rules.CheckLifetime(c.d); (err == nil) != c.lifetime {
			t.Errorf("CheckLifetime(%v) = %v, want valid: %t", c.d, err, c.lifetime)
		}
		if err := rules.CheckOverlap(c.d); (err == nil) != c.overlap {
			t.Errorf("CheckOverlap(%v) = %v, want valid: %t", c.d, err, c.overlap)
		}
	}
}
