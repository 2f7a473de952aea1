package postgres_test

import (
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// pemOf returns the PEM of certificates.
func pemOf(ders ...string) string {
	var text strings.Builder
	for _, der := range ders {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: []byte(der)})
	}
	return text.String()
}

// wholeChain is the previous version's statement that reads a chain.
const wholeChain = `SELECT chain_pem FROM certificates WHERE id = $1`

// The certificates above the leaf are stored once, and every chain is read as it was stored, before
// and after it was split, and by the previous version after a return to it.
func TestChainsAreStoredOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	issuers := pemOf(strings.Repeat("issuer", 150), "root")
	chains := map[string]string{ // by the ID of the certificate
		"crt_a": pemOf("leaf a") + issuers, "crt_b": pemOf(strings.Repeat("leaf b", 100)) + issuers,
		"crt_c": pemOf("leaf c"), "crt_d": pemOf("leaf d") + pemOf("other"),
		"crt_crlf":  strings.ReplaceAll(pemOf("leaf", "issuer"), "\n", "\r\n"),
		"crt_text":  "Subject: leaf\n" + pemOf("leaf") + issuers,
		"crt_empty": "", "crt_none": "no certificate",
	}
	for id, chain := range chains {
		_, j := d.add(d.org, strings.TrimPrefix(id, "crt_")+".example.com")
		c := newCertificate(d.order(d.claim(j, "w")))
		c.ID, c.ChainPEM = id, chain
		d.must(d.InTx(t.Context(),
			func(tx *postgres.Tx) error { return tx.AddCertificate(t.Context(), c, "") }))
	}
	check := func(when string) {
		t.Helper()
		for id, want := range chains {
			if c, err := d.Certificate(t.Context(), d.org, id); err != nil || c.ChainPEM != want {
				t.Errorf("the chain of %s %s = %+v, %v, want %q", id, when, c, err, want)
			}
		}
	}
	check("whole")
	d.exec(`UPDATE issuer_chains SET created_at = now() - interval '23 hours'`)
	if n, err := d.SplitChains(t.Context(), 5); n != 0 || err != nil {
		t.Errorf("SplitChains beside the previous version = %d, %v, want 0", n, err)
	}
	d.exec(`UPDATE issuer_chains SET created_at = now() - interval '25 hours'`)
	for _, want := range []int{5, 3, 0} {
		if n, err := d.SplitChains(t.Context(), 5); n != want || err != nil {
			t.Errorf("SplitChains = %d, %v, want %d", n, err, want)
		}
	}
	check("split")
	if n := value[int](d, `SELECT count(*) FROM issuer_chains`); n != 3 {
		t.Errorf("chains above leaves = %d, want that of two certificates, one other, and none", n)
	}
	if n := value[int](d, `SELECT max(length(chain_pem)) FROM certificates WHERE id ~ '_.$'`); n != 0 {
		t.Errorf("%d bytes of a chain are stored with its certificate, want 0", n)
	}

	sqlDB := stdlib.OpenDB(*must(pgx.ParseConfig(d.dsn)))
	defer func() { _ = sqlDB.Close() }()
	p := must(goose.NewProvider(goose.DialectPostgres, sqlDB, os.DirFS("migrations")))
	must(p.DownTo(t.Context(), 34))
	for id, want := range chains {
		if got := value[string](d, wholeChain, id); got != want {
			t.Errorf("the previous version reads the chain of %s as %q, want %q", id, got, want)
		}
	}
	must(d.Migrate(t.Context()))
	check("after the migration")
	if n, err := d.SplitChains(t.Context(), 9); n != 0 || err != nil {
		t.Errorf("SplitChains after the migration of a used database = %d, %v, want 0", n, err)
	}
}

// A new certificate is stored split if its issuers are known, and whole while the previous version
// may run, which reads it.
func TestChainOfANewCertificate(t *testing.T) {
	t.Parallel()
	d := open(t)
	issue := func(name, chain string) string {
		t.Helper()
		_, j := d.add(d.org, name)
		claim := d.claim(j, "w")
		k := d.issuanceOf(claim, d.order(claim))
		k.Certificate.ChainPEM = chain
		if ok, err := d.ConcludeIssuance(t.Context(), claim, k, start); !ok || err != nil {
			t.Fatalf("ConcludeIssuance = %v, %v, want true", ok, err)
		}
		c, err := d.Certificate(t.Context(), d.org, k.Certificate.ID)
		if d.must(err); c.ChainPEM != chain {
			t.Errorf("the chain of %s = %q, want %q", name, c.ChainPEM, chain)
		}
		return value[string](d, wholeChain, c.ID)
	}
	first, second := pemOf("leaf 1", "issuer"), pemOf("leaf 2", "issuer")
	if got := issue("first.example.com", first); got != first {
		t.Errorf("the chain with unknown issuers is stored as %q, want it whole", got)
	}
	if n, err := d.SplitChains(t.Context(), 9); n != 1 || err != nil {
		t.Errorf("SplitChains = %d, %v, want 1", n, err)
	}
	d.exec(`UPDATE issuer_chains SET created_at = now()`)
	if got := issue("second.example.com", second); got != second {
		t.Errorf("the chain beside the previous version is stored as %q, want it whole", got)
	}
	d.exec(`UPDATE issuer_chains SET created_at = '-infinity'`)
	if got := issue("third.example.com", second); got != "" {
		t.Errorf("the chain with known issuers is stored as %q, want it split", got)
	}
}
