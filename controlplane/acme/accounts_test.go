package acme_test

import (
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// engineWith returns an engine with accounts at the CA.
func (w *world) engineWith(t *testing.T, names ...string) *acme.Engine {
	t.Helper()
	return w.engine(t, func(c *acme.Config) {
		for _, name := range names {
			c.CAs[0].Accounts = append(c.CAs[0].Accounts, acme.AccountConfig{Name: name})
		}
	})
}

// Each account of a CA has its own key. An order uses the account that it names, also if that is no
// longer configured, and a certificate is revoked by the account that ordered it.
func TestSeveralAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engineWith(t, "default", "b")
	if got := e.Accounts("pebble"); !slices.Equal(got, []string{"default", "b"}) {
		t.Errorf("Accounts = %q, want those of the configuration", got)
	}
	run := func(e *acme.Engine, account, name string) (*controlplane.Certificate, error) {
		o := w.order(t, e, name)
		o.Account = account
		cert, err := e.Run(t.Context(), o, w.journal(o))
		if err == nil && cert.Account != account {
			t.Errorf("account of the certificate = %q, want %q", cert.Account, account)
		}
		return cert, err
	}
	var certs []*controlplane.Certificate
	for _, account := range []string{"", "b", "b"} {
		cert, err := run(e, account, "example.com")
		if err != nil {
			t.Fatalf("Run with the account %q: %v", account, err)
		}
		certs = append(certs, cert)
	}
	dir := w.ca.DirectoryURL()
	if diff := cmp.Diff([]string{dir, dir + "#b"},
		slices.Sorted(maps.Keys(w.accounts.rows))); diff != "" {
		t.Fatalf("stored accounts (-want +got):\n%s", diff)
	}
	first, second := w.accounts.rows[dir], w.accounts.rows[dir+"#b"]
	if first.URL == second.URL || first.URL == "" || second.URL == "" {
		t.Errorf("URLs of the accounts = %q and %q, want two", first.URL, second.URL)
	}

	later := w.engineWith(t, "default")
	if _, err := run(later, "b", "resumed.example.com"); err != nil {
		t.Errorf("Run with an account that is no longer configured: %v", err)
	}
	_, err := run(later, "never", "example.net")
	if e := wantError(t, err, acme.OrderGone, "ca-account"); !e.Over {
		t.Error("an order of an unknown account is not over")
	}
	revoke := func(cert *controlplane.Certificate, account string) error {
		block, _ := pem.Decode([]byte(cert.ChainPEM))
		return later.Revoke(t.Context(), block.Bytes, "pebble", account, 4)
	}
	if err := revoke(certs[2], "never"); err == nil {
		t.Error("Revoke by another account = nil, want an error")
	}
	for i, account := range []string{"", "b"} {
		if err := revoke(certs[i], account); err != nil {
			t.Errorf("Revoke by the account %q: %v", account, err)
		}
	}
}

func TestInvalidAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	for want, change := range map[string]func(ca *acme.CA){
		"invalid account name":       func(ca *acme.CA) { ca.Accounts = []acme.AccountConfig{{}} },
		`invalid account name "a/b"`: func(ca *acme.CA) { ca.Accounts = []acme.AccountConfig{{Name: "a/b"}} },
		"duplicate account": func(ca *acme.CA) {
			ca.Accounts = []acme.AccountConfig{{Name: "a"}, {Name: "a"}}
		},
		"requires both": func(ca *acme.CA) {
			ca.Accounts = []acme.AccountConfig{{Name: "a", EABKeyID: "k"}}
		},
		"one email address": func(ca *acme.CA) {
			ca.Accounts = []acme.AccountConfig{{Name: "a", Email: "a, b"}}
		},
	} {
		ca := acme.CA{Name: "x", DirectoryURL: "https://ca.example/dir"}
		change(&ca)
		_, err := acme.New(acme.Config{CAs: []acme.CA{ca}, Accounts: w.accounts, Sealer: w.sealer})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want %q", err, want)
		}
	}
}
