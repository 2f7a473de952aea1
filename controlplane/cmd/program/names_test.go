package program

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// TestOneOfSeveralNamesBreaks gets a certificate for a name, its www, and another registered domain
// with its wildcard. Then one CNAME is removed: only that name is in the conditions, the timeline,
// and the webhook's event. The certificate stays, and is renewed when the record is back.
func TestOneOfSeveralNamesBreaks(t *testing.T) {
	t.Parallel()
	s := startStack(t, DevConfig{EmbeddedRedis: true})
	events := make(chan string, 8)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		events <- string(body)
	}))
	t.Cleanup(receiver.Close)
	if resp, body := s.call("POST", "/api/webhooks",
		`{"events":["domain.delegation_broken"],"url":"`+receiver.URL+`"}`); resp.StatusCode !=
		http.StatusCreated {
		t.Fatalf("POST /api/webhooks = %s: %s, want 201", resp.Status, body)
	}
	d := s.waitActive(s.addSeveral("site.example.com").Id)
	names := []string{"*.site.example.org", "site.example.com", "site.example.org",
		"www.site.example.com"}
	issued := func(id string) {
		t.Helper()
		cert, err := s.api.Certificate(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(slices.Values(cert.Names)); !slices.Equal(got, names) {
			t.Errorf("certificate for %q, want %q", got, names)
		}
	}
	issued(d.CertificateId.MustGet())

	const broken = "www.site.example.com"
	if _, err := s.Playground.Remove(d.Delegations[broken].Name, "CNAME"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.api.VerifyDomain(t.Context(), d.Id); err != nil {
		t.Fatal(err)
	}
	d = s.waitDomain(d.Id, "off track", func(d *client.Domain) bool {
		return d.Delegations[broken].State == client.DelegationStateBroken &&
			d.Conditions[2].Reason == "cname-missing"
	})
	if d.Status != client.DomainStatusActive {
		t.Errorf("status = %s, want active: the certificate is valid", d.Status)
	}
	for base, g := range d.Delegations {
		if (g.State == client.DelegationStateBroken) != (base == broken) {
			t.Errorf("the delegation of %s is %s", base, g.State)
		}
	}
	// The record of the domain's name and its target are in every response.
	var texts []string
	for _, c := range d.Conditions {
		texts = append(texts, c.Message, toJSON(c.Observed), toJSON(c.Expected), toJSON(c.Fix))
		if c.Status != "true" && (c.Names == nil || len(*c.Names) != 1 ||
			(*c.Names)[0].Name != broken) {
			t.Errorf("names of %s = %s, want only %s", c.Type, toJSON(c.Names), broken)
		}
	}
	texts = append(texts, d.StatusSummary.Cause, d.StatusSummary.NextStep)
	if all := strings.Join(texts, " "); !strings.Contains(all, broken) ||
		strings.Contains(strings.ReplaceAll(all, broken, ""), "site.example") {
		t.Errorf("the domain's texts mention other names than %s: %s", broken, all)
	}
	event := <-events
	var body struct {
		Data struct {
			Fix   string
			Names []struct{ Name string }
		}
	}
	if err := json.Unmarshal([]byte(event), &body); err != nil || len(body.Data.Names) != 1 ||
		body.Data.Names[0].Name != broken || !strings.Contains(body.Data.Fix, broken) {
		t.Errorf("event %s, %v, want one about %s", event, err, broken)
	}

	s.delegate(broken)
	if _, err := s.api.RenewDomain(t.Context(), d.Id); err != nil {
		t.Fatal(err)
	}
	before := d.CertificateId.MustGet()
	d = s.waitDomain(d.Id, "renewed", func(d *client.Domain) bool {
		return d.CertificateId.MustGet() != before
	})
	issued(d.CertificateId.MustGet())
	s.eventually("the delegation to be verified", func() error {
		if now, err := s.api.Domain(t.Context(), d.Id); err != nil ||
			now.Delegations[broken].State != client.DelegationStateDelegated {
			return errors.New(toJSON(now))
		}
		return nil
	})
}
