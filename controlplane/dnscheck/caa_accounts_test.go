package dnscheck_test

import (
	"slices"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnscheck"
)

// CAA records that are bound to one of several accounts allow the CA, and exclude its other
// accounts.
func TestCAAForOneOfSeveralAccounts(t *testing.T) {
	t.Parallel()
	const a, b, c = "https://acme.test/acct/a", "https://acme.test/acct/b", ""
	ca := dnscheck.CAIdentity{Name: "letsencrypt", Identities: []string{"letsencrypt.org"},
		AccountURI: a, Accounts: []controlplane.AccountIdentity{{Name: "a", URI: a},
			{Name: "b", URI: b}, {Name: "c", URI: c}}}
	for records, want := range map[string]struct {
		allowed   bool
		forbidden []string
	}{
		`0 issue "letsencrypt.org"`:                               {true, nil},
		`0 issue "letsencrypt.org; accounturi=` + a + `"`:         {true, []string{"b", "c"}},
		`0 issue "letsencrypt.org; accounturi=` + b + `"`:         {true, []string{"a", "c"}},
		`0 issue "letsencrypt.org; accounturi=` + b + `/another"`: {false, nil},
		`0 issue "digicert.com"`:                                  {false, nil},
	} {
		v := zone.with("example.com. 60 IN CAA " + records)
		found, err := doctor(two(v), two(v)).CAA(t.Context(), "example.com", false,
			[]dnscheck.CAIdentity{ca})
		if err != nil {
			t.Fatal(err)
		}
		if f := found[0]; f.Allowed != want.allowed ||
			!slices.Equal(f.ForbiddenAccounts, want.forbidden) {
			t.Errorf("CAA with %s = %v without %q, want %v without %q", records, f.Allowed,
				f.ForbiddenAccounts, want.allowed, want.forbidden)
		}
	}
}
