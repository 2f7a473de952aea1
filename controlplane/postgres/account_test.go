package postgres_test

import (
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// An order and its certificate keep the account that placed the order. Those of the previous
// version, which knows one account of each CA, have the default one.
func TestOrdersKeepTheirAccounts(t *testing.T) {
	t.Parallel()
	d := open(t)
	for name, account := range map[string]string{"a.example": "second", "b.example": ""} {
		dom, j := d.add(d.org, name)
		c := d.claim(j, "w")
		o := newOrder(c)
		o.Account = account
		d.must(d.begin(c, o))
		want := controlplane.AccountOf(account)
		got, err := d.OpenOrder(t.Context(), d.org, dom.ID)
		d.must(err)
		if got.Account != want {
			t.Errorf("account of the order = %q, want %q", got.Account, want)
		}
		cert := newCertificate(got)
		cert.Account = got.Account
		d.must(d.InTx(t.Context(),
			func(tx *postgres.Tx) error { return tx.AddCertificate(t.Context(), cert, "") }))
		if got, err := d.Certificate(t.Context(), d.org, cert.ID); err != nil ||
			got.Account != want {
			t.Errorf("account of the certificate = %q, %v, want %q", got.Account, err, want)
		}
	}
	_, j := d.add(d.org, "previous.example")
	d.exec(`INSERT INTO acme_orders (id, org_id, domain_id, job_id, ca, step, names, target, key_type, csr)
		SELECT 'ord_previous', org_id, domain_id, id, 'primary', 'created', '{}', 't', 'ec256', '' FROM jobs WHERE id = $1`, j.ID)
	if o, err := d.Order(t.Context(), d.org, "ord_previous"); err != nil ||
		o.Account != controlplane.DefaultAccount {
		t.Errorf("account of the previous version's order = %+v, %v, want %s", o, err,
			controlplane.DefaultAccount)
	}
}

// The previous version finds and changes an account by its directory. It reaches only the account
// that it knows.
func TestFurtherAccountsAreSeparate(t *testing.T) {
	t.Parallel()
	d := open(t)
	const dir = "https://ca.example/dir"
	for i, account := range []string{controlplane.DefaultAccount, "second"} {
		_, err := d.CreateAccount(t.Context(), &controlplane.Account{
			ID:           controlplane.NewID(controlplane.PrefixAccount),
			DirectoryURL: controlplane.AccountURL(dir, account), SealedKey: []byte{byte(i)},
			CreatedAt: start})
		d.must(err)
	}
	if n := value[int](d, `SELECT count(*) FROM acme_accounts WHERE directory_url = $1`,
		dir); n != 1 {
		t.Errorf("accounts with the directory = %d, want 1", n)
	}
	d.exec(`UPDATE acme_accounts SET url = 'https://ca.example/acct/1' WHERE directory_url = $1`, dir)
	for account, want := range map[string]string{"": "https://ca.example/acct/1", "second": ""} {
		a, err := d.Account(t.Context(), controlplane.AccountURL(dir, account))
		if err != nil || a == nil || a.URL != want {
			t.Errorf("Account(%q) = %+v, %v, want the URL %q", account, a, err, want)
		}
	}
}
