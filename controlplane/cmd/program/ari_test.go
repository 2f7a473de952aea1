package program

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// TestRenewalSuggestedByCA tests that certificates are renewed early when the CA suggests it, for
// example before it revokes them (RFC 9773): each exactly once, with an order that names the
// replaced certificate.
func TestRenewalSuggestedByCA(t *testing.T) {
	t.Parallel()
	const n = 12
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	domains := make([]*client.Domain, n)
	for i := range n {
		domains[i] = s.add(fmt.Sprintf("suggested%d.example.com", i))
	}
	for i := range n {
		domains[i] = s.waitActive(domains[i].Id)
	}
	suggested := domains[:n-2] // no suggestion for the last two
	past := time.Now().Add(-time.Hour)
	for _, d := range suggested {
		s.setRenewalWindow(d, past.Add(-time.Hour), past)
	}
	// Suggestions are ignored in a certificate's first hours, so make the certificates older.
	s.exec(`UPDATE certificates SET not_before = not_before - interval '10 days'`)
	s.exec(`UPDATE domains SET ari_check_at = now()`)
	if got, err := s.App.lifecycle.CheckRenewals(t.Context()); err != nil || got != n {
		t.Fatalf("CheckRenewals() = %d, %v, want %d", got, err, n)
	}
	if got := query[int](s, `SELECT count(*) FROM domains WHERE renew_at < now()`); got != len(
		suggested) {
		t.Fatalf("due renewals = %d, want %d", got, len(suggested))
	}
	if got, err := s.App.lifecycle.Sweep(t.Context()); err != nil || got != len(suggested) {
		t.Fatalf("Sweep() = %d, %v, want %d", got, err, len(suggested))
	}
	for _, d := range suggested {
		s.waitDomain(d.Id,
			"renewed", func(now *client.Domain) bool {
				return toJSON(now.CertificateId) != toJSON(
					d.CertificateId)
			})
	}
	if got, err := s.App.lifecycle.Sweep(t.Context()); err != nil || got != 0 {
		t.Errorf("second Sweep() = %d, %v, want 0", got, err)
	}
	if got := query[int](s, `SELECT count(*) FROM certificates`); got != n+len(suggested) {
		t.Errorf("certificates = %d, want %d", got, n+len(suggested))
	}
	// Pebble does not recognize a serial number whose DER starts with a zero byte (1 in 256). The
	// renewals of those certificates are ordered without replaces.
	known := query[int](s,
		`SELECT count(*) FROM certificates WHERE replaced_by <> '' AND split_part(ari_id, '.', 2) !~ '^A[A-P]'`)
	if got := query[int](s, `SELECT count(*) FROM acme_orders WHERE replaces <> ''`); known < len(
		suggested)/2 || got != known {
		t.Errorf("orders with replaces = %d, want %d of %d", got, known, len(suggested))
	}
}

// setRenewalWindow sets the renewal window that the primary CA suggests for the domain's
// certificate.
func (s *stack) setRenewalWindow(d *client.Domain, start, end time.Time) {
	s.t.Helper()
	id, err := d.CertificateId.Get()
	if err != nil {
		s.t.Fatal(err)
	}
	chain, err := s.api.CertificatePEM(s.t.Context(), id,
		client.DownloadCertificateParamsFormat("leaf"))
	if err != nil {
		s.t.Fatal(err)
	}
	window, _ := json.Marshal(map[string]any{"suggestedWindow": map[string]any{"start": start.UTC(),
		"end": end.UTC()}})
	body, _ := json.Marshal(map[string]any{"Certificate": chain, "ARIResponse": string(window)})
	resp, err := s.Primary.HTTPClient().Post(s.Primary.ManagementURL()+"/set-renewal-info/",
		"application/json", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("POST /set-renewal-info/ = %s, want 200", resp.Status)
	}
}
