package dashboard

import (
	"bytes"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/api"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// apiSummary is the status_summary of a domain in the API.
type apiSummary struct {
	State    controlplane.SummaryState
	Headline string
	Cause    string
	NextStep string `json:"next_step"`
}

// summaries returns the status_summary of each domain in the API, by name.
func (s *site) summaries() map[string]apiSummary {
	s.t.Helper()
	keyset, err := seal.New()
	s.must(err)
	sealer, err := seal.Open(keyset)
	s.must(err)
	a, err := api.New(api.Config{Store: s.store, Lifecycle: s.life, Sealer: sealer,
		CursorKey: bytes.Repeat([]byte{9}, 32), PublicURL: "https://dcvaas.test",
		Logger: s.dash.config.Logger, Now: s.dash.now})
	s.must(err)
	defer a.Close()
	server := httptest.NewServer(a)
	defer server.Close()
	_, secret, err := s.life.CreateToken(s.t.Context(), controlplane.System("test"), nil, s.org.ID,
		lifecycle.NewToken{Name: "test", Scopes: controlplane.Scopes()})
	s.must(err)
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet,
		server.URL+"/api/domains?limit=200", nil)
	s.must(err)
	r.Header.Set("Authorization", "Bearer "+secret)
	res, err := server.Client().Do(r)
	s.must(err)
	defer func() { _ = res.Body.Close() }()
	var list struct {
		Data []struct {
			Name    string
			Summary apiSummary `json:"status_summary"`
		}
	}
	s.must(json.NewDecoder(res.Body).Decode(&list))
	all := map[string]apiSummary{}
	for _, d := range list.Data {
		all[d.Name] = d.Summary
	}
	return all
}

// part returns the text of the page's HTML from a piece in a tag on, up to another piece.
func (a response) part(from, to string) string {
	a.t.Helper()
	_, rest, ok := strings.Cut(a.body, from)
	part, _, found := strings.Cut(rest, to)
	if !ok || !found {
		a.t.Fatalf("the page's HTML lacks %s … %s", from, to)
	}
	_, part, _ = strings.Cut(part, ">")
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(part, " "))), " ")
}

// summarized adds domains in different states.
func (s *site) summarized() map[string]*controlplane.Domain {
	s.t.Helper()
	soon := time.Now().Add(time.Hour)
	condition := func(
		t controlplane.ConditionType, status, reason string, next *time.Time,
	) controlplane.Condition {
		return controlplane.Condition{Type: t, Status: controlplane.ConditionStatus(status),
			Reason: controlplane.Reason(reason), NextCheckAt: next,
			Message: "Found " + reason + " of " + string(t) + "."}
	}
	set := func(status controlplane.DomainStatus, c ...controlplane.Condition,
	) func(*controlplane.Domain) {
		return func(d *controlplane.Domain) {
			if d.Status = status; status == controlplane.DomainError {
				d.StatusReason = c[len(c)-1].Reason
			}
			for _, one := range c {
				d.SetCondition(one)
			}
		}
	}
	const (
		dns, cert, track = controlplane.DNSReady, controlplane.CertificateReady,
			controlplane.RenewalOnTrack
		pending, issuing, active, failed = controlplane.DomainPendingCNAME,
			controlplane.DomainIssuing, controlplane.DomainActive, controlplane.DomainError
	)
	verified := condition(dns, "true", "delegated", nil)
	all := map[string]*controlplane.Domain{}
	for name, change := range map[string]func(*controlplane.Domain){
		"added.example.com":       nil,
		"missing.example.com":     set(pending, condition(dns, "false", "cname-missing", &soon)),
		"elsewhere.example.com":   set(pending, condition(dns, "false", "cname-mismatch", &soon)),
		"forbidden.example.com":   set(pending, verified, condition(cert, "false", "caa-forbids", &soon)),
		"profile.example.com":     set(failed, verified, condition(cert, "false", "ca-profile", nil)),
		"quota.example.com":       set(issuing, verified, condition(cert, "false", "ca-quota", &soon)),
		"unreachable.example.com": set(issuing, verified, condition(cert, "false", "ca-unreachable", &soon)),
		"account.example.com":     set(issuing, verified, condition(cert, "false", "ca-account", &soon)),
		"issuing.example.com":     set(issuing, verified, condition(cert, "false", "issuing", nil)),
		"active.example.net":      set(active),
		"removed.example.net": set(active, condition(dns, "false", "cname-missing", nil),
			condition(track, "false", "cname-missing", &soon)),
		"revoked.example.net": set(active, condition(cert, "false", "revoked", nil)),
		"off.example.net":     set(active, condition(track, "false", "auto-renew-off", nil)),
		"expired.example.net": func(d *controlplane.Domain) {
			ended := time.Now().Add(-time.Hour)
			d.ExpiresAt = &ended
		},
	} {
		d := s.add(s.org, name)
		if strings.HasSuffix(name, ".net") {
			s.issue(d)
		}
		if change != nil {
			s.change(d, change)
		}
		all[name] = d
	}
	return all
}

// The API, a domain's page, and its row in the list state the same.
func TestSameSummaryEverywhere(t *testing.T) {
	s := newSignedIn(t)
	domains, list := s.summarized(), s.get("/domains").want(http.StatusOK)
	for name, a := range s.summaries() {
		row := list.part(`<a class="mono" href="/domains/`+domains[name].ID, "</tr>")
		page := s.get("/domains/" + domains[name].ID).want(http.StatusOK)
		status := page.part(`id="status"`, "</div>")
		if a.State == controlplane.SummaryExpired || a.State == controlplane.SummaryRevoked {
			if checks := page.part(`id="conditions"`, "</section>"); strings.Contains(checks,
				"On track") || strings.Contains(checks, "Valid") {
				t.Errorf("checks of %s = %q, want neither “Valid” nor “On track”", name, checks)
			}
		}
		shown := a.State.Title()
		if a.Headline != shown {
			shown += " " + a.Headline
		}
		if !strings.HasPrefix(row, name+" "+shown+" ") {
			t.Errorf("row of %s = %q, want %q after the name", name, row, shown)
		}
		if !strings.HasPrefix(status, shown+" ") || !strings.Contains(status, a.Cause) {
			t.Errorf("status line of %s = %q, want %q and %q", name, status, shown, a.Cause)
		}
		want := domains[name].Summary(time.Now())
		if a.NextStep != want.NextStep {
			t.Errorf("next_step of %s = %q, want %q", name, a.NextStep, want.NextStep)
		}
		if want.Actor != controlplane.PartyNone && !strings.Contains(status, want.DashboardStep) {
			t.Errorf("status line of %s = %q, want the next step %q", name, status,
				want.DashboardStep)
		}
	}
}
