package lifecycle_test

import (
	"crypto/rand"
	"encoding/pem"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// certificateSized returns the PEM of a certificate of so many bytes.
func certificateSized(size int) string {
	der := make([]byte, size)
	_, _ = rand.Read(der)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// A renewal keeps at most 4 KB, with its indexes and its entries in the audit log: its job, its
// order, and the key of the replaced certificate are removed, and the CA's certificates are stored
// once.
func TestRenewalsKeepLittle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issuers := certificateSized(1100) + certificateSized(950)
	w.ca.chain = func() string { return certificateSized(980) + issuers }
	d := w.active("example.com")
	renew := func(n int) (stored int64) {
		t.Helper()
		for range n {
			w.clock.set(*w.domain(d).RenewAt)
			if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
				t.Fatalf("Sweep = %d, %v, want 1", n, err)
			}
			w.run(d, controlplane.JobRenewal)
			must(t, w.Tidy(t.Context()))
		}
		w.clock.add(91 * day)
		must(t, w.Tidy(t.Context()))
		// Autovacuum analyzes tables with a snapshot, which keeps the rows that it can see.
		for value[int](w, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND backend_type <> 'client backend' AND backend_xmin IS NOT NULL`) > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		w.exec(`VACUUM FULL`)
		return value[int64](w, `SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
			WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`)
	}
	const renewals = 150
	before := renew(10)
	kept := (renew(renewals) - before) / renewals
	t.Logf("a renewal keeps %d bytes", kept)
	if kept > 4096 {
		t.Errorf("a renewal keeps %d bytes, want at most 4096", kept)
	}
}
