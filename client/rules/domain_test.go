package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

func TestDomainOptions(t *testing.T) {
	t.Parallel()
	for _, rule := range []struct {
		name, code     string
		check          func(string) error
		valid, invalid []string
	}{
		{"CheckLabelKey", "label-key-invalid", rules.CheckLabelKey,
			[]string{"a", "team", "app.example.com/part-of", "A_1", strings.Repeat("k", 63)},
			[]string{"", "a b", "-a", "a-", ".", "ü", ".team", strings.Repeat("k", 64)}},
		{"CheckLabelValue", "too-long", rules.CheckLabelValue,
			[]string{"", "a b", strings.Repeat("v", 255), strings.Repeat("ü", 255)},
			[]string{strings.Repeat("v", 256), strings.Repeat("ü", 256)}},
		{"CheckKeyType", "not-one-of", rules.CheckKeyType, rules.KeyTypes(),
			[]string{"", "dsa", "EC256"}},
		{"CheckScope", rules.CodeUnknownScope, rules.CheckScope, rules.Scopes(),
			[]string{"", "domains", "domains:fly", "Domains:read"}},
		{"CheckProfile", "profile-invalid", rules.CheckProfile,
			[]string{"classic", "tlsserver", "a.b_c-1"},
			[]string{"", "Classic", "-a", "a b", "tlsclient"}},
		{"CheckPreferredChain", "chain-invalid", rules.CheckPreferredChain,
			[]string{"ISRG Root X1", strings.Repeat("ü", 255)},
			[]string{"", " ", " X1", "X1 "}},
	} {
		for _, s := range rule.valid {
			if err := rule.check(s); err != nil {
				t.Errorf("%s(%q) = %v, want no error", rule.name, s, err)
			}
		}
		for _, s := range rule.invalid {
			if err := rule.check(s); !hasCode(err, rule.code) {
				t.Errorf("%s(%q) = %v, want the code %s", rule.name, s, err, rule.code)
			}
		}
	}
}

func TestCheckNames(t *testing.T) {
	t.Parallel()
	names := func(n, length int) []string {
		return slices.Repeat([]string{strings.Repeat("a", length)}, n)
	}
	for _, tt := range []struct {
		profile   string
		n, length int
		code      string
	}{
		{"", 100, 20, ""}, {"", 101, 20, "names-too-many"},
		{"classic", 100, 20, ""}, {"classic", 101, 20, "names-too-many"},
		{"tlsserver", 25, 20, ""}, {"tlsserver", 26, 20, "names-too-many"},
		{"shortlived", 25, 237, ""}, {"shortlived", 26, 20, "names-too-many"},
		{"other", 100, 100, ""}, {"other", 101, 1, "names-too-many"},
		{"", 100, 100, ""}, {"", 99, 102, "names-too-long"}, {"", 0, 0, ""},
	} {
		err := rules.CheckNames(names(tt.n, tt.length), tt.profile)
		if tt.code == "" && err != nil || tt.code != "" && !hasCode(err, tt.code) {
			t.Errorf("CheckNames(%d names of %d bytes, %q) = %v, want the code %q", tt.n,
				tt.length, tt.profile, err, tt.code)
		}
	}
}
