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

// A CA that is about to revoke certificates calls for their renewal (RFC 9773): each is
// renewed once, by an order that names it, and before any other is due.
func TestRenewalThatTheCAAsksFor(t *testing.T) {
	t.Parallel()
	const n = 12
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	domains := make([]*client.Domain, n)
	for i := range n {
		domains[i] = s.add(fmt.Sprintf("asked%d.example.com", i))
	}
	for i := range n {
		domains[i] = s.waitActive(domains[i].Id)
	}
	asked := domains[:n-2] // the last two are left alone
	past := time.Now().Add(-time.Hour)
	for _, d := range asked {
		s.setRenewalWindow(d, past.Add(-time.Hour), past)
	}
	// A certificate is left alone for its first hours, whatever the CA says: these are older.
	s.exec(`UPDATE certificates SET not_before = not_before - interval '10 days'`)
	s.exec(`UPDATE domains SET ari_check_at = now()`)
	if got, err := s.App.lifecycle.CheckRenewals(t.Context()); err != nil || got != n {
		t.Fatalf("the CA was asked for %d of %d certificates: %v", got, n, err)
	}
	if got := query[int](s, `SELECT count(*) FROM domains WHERE renew_at < now()`); got != len(asked) {
		t.Fatalf("%d renewals are due, not %d", got, len(asked))
	}
	if got, err := s.App.lifecycle.Sweep(t.Context()); err != nil || got != len(asked) {
		t.Fatalf("%d renewals were queued, not %d: %v", got, len(asked), err)
	}
	for _, d := range asked {
		s.waitDomain(d.Id, "renewed", func(now *client.Domain) bool { return toJSON(now.CertificateId) != toJSON(d.CertificateId) })
	}
	if got, err := s.App.lifecycle.Sweep(t.Context()); err != nil || got != 0 {
		t.Errorf("another sweep queued %d renewals: %v", got, err)
	}
	if got := query[int](s, `SELECT count(*) FROM certificates`); got != n+len(asked) {
		t.Errorf("there are %d certificates, not %d", got, n+len(asked))
	}
	// Pebble does not know again a serial number whose DER begins with a zero byte (one in 256 of
	// its own); those orders are placed without.
	known := query[int](s, `SELECT count(*) FROM certificates WHERE replaced_by <> '' AND split_part(ari_id, '.', 2) !~ '^A[A-P]'`)
	if got := query[int](s, `SELECT count(*) FROM acme_orders WHERE replaces <> ''`); known < len(asked)/2 || got != known {
		t.Errorf("%d orders name what they replace, not %d of %d", got, known, len(asked))
	}
}

// setRenewalWindow has the primary CA say when the domain's certificate is best renewed.
func (s *stack) setRenewalWindow(d *client.Domain, start, end time.Time) {
	s.t.Helper()
	id, err := d.CertificateId.Get()
	if err != nil {
		s.t.Fatal(err)
	}
	chain, err := s.api.CertificatePEM(s.t.Context(), id, client.DownloadCertificateParamsFormat("leaf"))
	if err != nil {
		s.t.Fatal(err)
	}
	window, _ := json.Marshal(map[string]any{"suggestedWindow": map[string]any{"start": start.UTC(), "end": end.UTC()}})
	body, _ := json.Marshal(map[string]any{"Certificate": chain, "ARIResponse": string(window)})
	resp, err := s.Primary.HTTPClient().Post(s.Primary.ManagementURL()+"/set-renewal-info/", "application/json", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.t.Fatalf("setting the window: %s", resp.Status)
	}
}
