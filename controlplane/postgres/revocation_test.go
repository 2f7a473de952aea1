package postgres_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// The last reason before the request to the CA counts, and a revoked certificate keeps its reason.
func TestRevocationIsRequestedThenDone(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, cert := d.certified(d.org, "example.com", 90*day, postgres.RenewalWatch{})
	other := d.organization(10)
	request := func(org, reason string) {
		t.Helper()
		d.must(d.InTx(t.Context(),
			func(tx *postgres.Tx) error {
				return tx.RequestRevocation(t.Context(), org, cert.ID,
					reason)
			}))
	}
	requested := func(want string) {
		t.Helper()
		if got, err := d.RevocationRequested(t.Context(), d.org, cert.ID); got != want ||
			err != nil {
			t.Errorf("requested for %q, %v, want %q", got, err, want)
		}
	}
	requested("")
	request(other, "unspecified")
	requested("")
	request(d.org, "superseded")
	request(d.org, "keyCompromise")
	requested("keyCompromise")
	_, err := d.RevocationRequested(t.Context(), other, cert.ID)
	wantKind(t, "another organization", err, controlplane.KindNotFound)

	at := start.Add(time.Hour)
	for _, org := range []string{other, d.org} {
		d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
			return tx.CertificateRevoked(t.Context(), org, cert.ID, "keyCompromise", at)
		}))
		got, err := d.Certificate(t.Context(), d.org, cert.ID)
		d.must(err)
		if mine := org == d.org; mine != (got.RevokedAt != nil && got.RevokedAt.Equal(at) &&
			got.RevocationReason == "keyCompromise") || !mine && got.RevokedAt != nil {
			t.Errorf("by %s: %+v", org, got)
		}
	}
	request(d.org, "superseded")
	requested("keyCompromise")
}
