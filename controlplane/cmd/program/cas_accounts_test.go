package program

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
)

// Values that an account omits are those of its CA. Without accounts, the CA has the default one.
func TestConfiguredAccounts(t *testing.T) {
	t.Parallel()
	cas, err := ACMEConfig{Email: "ops@example.com", CAs: `[
		{"name": "x", "directory": "https://x.example/dir", "eab_key_id": "k", "eab_hmac": "aA",
		 "accounts": [{"name": "default"}, {"name": "b", "email": "b@example.com", "eab_key_id": "kb",
			"eab_hmac": "bB", "new_orders": "1500/3h"}]},
		{"name": "y", "directory": "https://y.example/dir"}]`}.list()
	if err != nil {
		t.Fatal(err)
	}
	want := []acme.AccountConfig{
		{Name: "default", Email: "ops@example.com", EABKeyID: "k", EABHMAC: "aA"},
		{Name: "b", Email: "b@example.com", EABKeyID: "kb", EABHMAC: "bB",
			NewOrders: &acme.Limit{Count: 1500, Per: 3 * time.Hour}},
	}
	if diff := cmp.Diff(want, cas[0].Accounts); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
	for ref, want := range map[string]string{"x/b": "x/b", "x/default": "x/default",
		"y": "y/default", "y/default": "y/default"} {
		ca, account, err := accountAt(cas, ref)
		if got := ca.Name + "/" + account; err != nil || got != want {
			t.Errorf("accountAt(%s) = %s, %v, want %s", ref, got, err, want)
		}
	}
	for ref, want := range map[string]string{"x": "several accounts",
		"x/c": "must be one of x, x/default, x/b, y", "z": "must be one of"} {
		if _, _, err := accountAt(cas, ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("accountAt(%s) = %v, want an error with %q", ref, err, want)
		}
	}
	_, err = ACMEConfig{CAs: `[{"name": "x", "directory": "https://x.example/dir",
		"accounts": [{"name": "b", "eab_hmac": "hush", "new_orders": "many"}]}]`}.list()
	if err == nil || !strings.Contains(err.Error(), "x: account b: new_orders: invalid limit") ||
		strings.Contains(err.Error(), "hush") {
		t.Errorf("list() = %v, want an error that names the field and has no secrets", err)
	}
}
