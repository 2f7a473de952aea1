package program

import (
	"slices"
	"testing"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// TestChangedOptionsReachTheCertificate tests that a certificate with changed options is ordered at
// once, and that changes within a moment share the order.
func TestChangedOptionsReachTheCertificate(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	const name = "options.example.com"
	d := s.waitActive(s.add(name).Id)
	first, _ := d.CertificateId.Get()
	wildcard := true
	changed, err := s.api.UpdateDomain(t.Context(), d.Id, client.DomainUpdate{Wildcard: &wildcard})
	if err != nil {
		t.Fatal(err)
	}
	if now, _ := changed.CertificateRevision.Get(); changed.OptionsRevision != 2 || now != 1 ||
		changed.StatusSummary.Reason != "options-changed" {
		t.Errorf("UpdateDomain() = %s, want revision 2, and a certificate of revision 1",
			toJSON(changed))
	}
	// It shares the order of the first change.
	kt := client.KeyTypeEc384
	if _, err := s.api.UpdateDomain(t.Context(), d.Id, client.DomainUpdate{KeyType: &kt,
		Ca: nullable.NewNullableWithValue(s.App.lifecycle.Issuer.CAs()[1])}); err != nil {
		t.Fatal(err)
	}
	d = s.waitDomain(d.Id, "up to date", func(d *client.Domain) bool {
		now, _ := d.CertificateRevision.Get()
		return now == d.OptionsRevision
	})
	current, _ := d.CertificateId.Get()
	cert, err := s.api.Certificate(t.Context(), current)
	if err != nil {
		t.Fatal(err)
	}
	if names := []string{name, "*." + name}; !slices.Equal(slices.Sorted(slices.Values(cert.Names)),
		slices.Sorted(slices.Values(names))) || cert.KeyType != kt || cert.OptionsRevision != 3 ||
		cert.Ca != s.App.lifecycle.Issuer.CAs()[1] {
		t.Errorf("Certificate() = %s, want one of the other CA with the wildcard and ec384",
			toJSON(cert))
	}
	old, err := s.api.Certificate(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if by, _ := old.ReplacedBy.Get(); by != current || old.OptionsRevision != 1 {
		t.Errorf("Certificate() of the first = %s, want it replaced by %s", toJSON(old), current)
	}
	if d.StatusSummary.State != client.StatusSummaryStateActive {
		t.Errorf("status_summary = %s, want active", toJSON(d.StatusSummary))
	}
	if n, err := s.App.lifecycle.Reissue(t.Context()); n != 0 || err != nil {
		t.Errorf("Reissue() = %d, %v, want no further order", n, err)
	}
	if n := query[int](s, `SELECT count(*) FROM acme_orders`); n != 2 {
		t.Errorf("orders = %d, want 2", n)
	}
}
