package dashboard

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/api"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// record adds an entry to the organization's audit log.
func (s *site) record(a controlplane.AuditEntry) controlplane.AuditEntry {
	s.t.Helper()
	a.ID = controlplane.NewID(controlplane.PrefixEvent)
	if a.OrgID == "" {
		a.OrgID = s.org.ID
	}
	if a.CreatedAt.IsZero() {
		a.CreatedAt = time.Now()
	}
	s.must(s.store.Audit(s.t.Context(), a))
	return a
}

// entryOf returns the part of the page with the entry.
func (a response) entryOf(id string) response {
	a.t.Helper()
	_, rest, ok := strings.Cut(a.body, `<li id="`+id+`">`)
	if !ok {
		a.t.Fatalf("the page has no entry %s:\n%s", id, a.text)
	}
	a.body, _, _ = strings.Cut(rest, "</details>\n</li>")
	a.text = strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(a.body, " "))),
		" ")
	return a
}

func TestAuditLog(t *testing.T) {
	s := newSignedIn(t)
	s.post("/domains", url.Values{"name": {"example.com"}}, "Request-Id",
		"req-42").want(http.StatusSeeOther)
	d, err := s.store.Domain(t.Context(), s.org.ID, "example.com")
	s.must(err)
	token, _ := s.token(s.org, lifecycle.NewToken{Name: "ci"})
	log, _, err := s.store.ListLog(t.Context(), s.org.ID,
		postgres.LogFilter{EntityID: d.ID, Limit: 1})
	s.must(err)
	page := s.get("/settings/audit").want(http.StatusOK, "Kept for 365 days on the pro plan",
		"Organization created", "Member added", "Signed in").
		has(`href="/settings/audit" aria-current="true"`,
			`<a href="/settings/organization">Example Ltd</a>`)
	page.entryOf(log[0].ID).want(http.StatusOK, "Domain added example.com",
		"developer from 127.0.0.1", "req-42").
		has(`href="/domains/`+d.ID+`"`, `href="#`+log[0].ID+`"`, `data-copy="req-42"`,
			`href="/settings/audit?actor=`+s.sessionOf(s).User.ID+`"`)
	if strings.Index(page.text, "Token created ci") > strings.Index(page.text,
		"Domain added example.com") {
		t.Error("the newest entry is not first")
	}

	by := s.record(controlplane.AuditEntry{Actor: controlplane.Actor{Type: controlplane.ActorToken,
		ID: token.ID, IP: "192.0.2.7"},
		Action: controlplane.ActionDomainUpdated, EntityType: "domain", EntityID: d.ID,
		Before: map[string]any{"auto_renew": true, "name": "example.com",
			"labels": map[string]any{"team": "a"}},
		After: map[string]any{"auto_renew": false, "name": "example.com", "ca": "zerossl"}})
	s.get("/settings/audit").entryOf(by.ID).want(http.StatusOK, "API token “ci” from 192.0.2.7",
		"Before After", "Auto renew yes no", "CA – zerossl", `Labels {"team":"a"} –`).hasNot("Name")
	why := s.record(controlplane.AuditEntry{Actor: controlplane.System("worker"),
		Action:     controlplane.ActionJobWaiting,
		EntityType: "job", EntityID: controlplane.NewID(controlplane.PrefixJob),
		Details: map[string]any{"domain_id": d.ID, "code": "rate-limited",
			"detail": "The CA’s limit is reached until noon.", "attempts": 3.0}})
	s.get("/settings/audit").entryOf(why.ID).want(http.StatusOK, "Job waiting example.com",
		"DCVaaS ·", "The CA’s limit is reached until noon.", "Attempts 3").hasNot("<table")

	// A deleted object has the name from the log and is not a link.
	s.must(s.life.DeleteToken(t.Context(), controlplane.System("admin"), s.org.ID, token.ID))
	gone, _, err := s.store.ListLog(t.Context(), s.org.ID,
		postgres.LogFilter{EntityID: token.ID, Limit: 1})
	s.must(err)
	page = s.get("/settings/audit")
	page.entryOf(gone[0].ID).want(http.StatusOK, "Token deleted ci", "Operator ·").hasNot(`href="` +
		tokenURL(token.ID))
	page.entryOf(by.ID).want(http.StatusOK, "API token "+token.ID)
}

func TestAuditLogFilters(t *testing.T) {
	s := newSignedIn(t)
	s.addMember(s.org, anAdmin, controlplane.RoleAdmin)
	as := s.signedInAs(anAdmin)
	s.post("/domains", url.Values{"name": {"example.com"}}).want(http.StatusSeeOther)
	d, err := s.store.Domain(t.Context(), s.org.ID, "example.com")
	s.must(err)
	token, _ := s.token(s.org, lifecycle.NewToken{Name: "draft"})
	as.post(tokenURL(token.ID)+"/rename", url.Values{"name": {"ci"}}).want(http.StatusSeeOther)
	old := s.record(controlplane.AuditEntry{Actor: controlplane.System("sweep"),
		Action: controlplane.ActionCertificateEnding, EntityType: "domain", EntityID: d.ID,
		CreatedAt: time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC)})
	added, ending, made, renamed := "Domain added example.com",
		"Certificate expiring soon example.com", "Token created ci", "Token changed ci"
	for query, c := range map[string]struct{ has, lacks []string }{
		"action=domain.created": {[]string{added},
			[]string{ending, made, renamed}},
		"actor=AN-Admin": {[]string{renamed},
			[]string{added, ending, made}},
		"actor=" + s.sessionOf(as).User.ID: {[]string{renamed},
			[]string{added, ending, made}},
		"actor=sweep":                       {[]string{ending}, []string{added, made, renamed}},
		"about=Example.com":                 {[]string{added, ending}, []string{made, renamed}},
		"about=" + d.ID:                     {[]string{added, ending}, []string{made, renamed}},
		"about=" + token.ID:                 {[]string{made, renamed}, []string{added, ending}},
		"since=2026-01-31&until=2026-01-31": {[]string{ending}, []string{added, made, renamed}},
		"since=2026-02-01":                  {[]string{added, made, renamed}, []string{ending}},
		"until=2026-01-30": {[]string{"No entries match"},
			[]string{added, ending, made, renamed}},
		"about=" + token.ID + "&actor=an-admin&action=": {[]string{renamed},
			[]string{added, ending, made}},
		"actor=" + controlplane.NewID(controlplane.PrefixUser): {[]string{"No entries match",
			"Show all entries"}, []string{added}},
	} {
		a := s.get("/settings/audit?"+query).want(http.StatusOK, c.has...)
		for _, text := range c.lacks {
			if strings.Contains(a.text, text) {
				t.Errorf("GET /settings/audit?%s shows %q", query, text)
			}
		}
	}
	s.get("/settings/audit?action=token.updated&actor=an-admin&since=2026-01-01").want(
		http.StatusOK).
		has(`<option value="token.updated" selected>`, `value="an-admin"`, `value="2026-01-01"`,
			`href="/settings/audit">Show all`)
	for query, says := range map[string]string{"actor=nobody": "No member with this login",
		"actor=%00":                 "No member with this login",
		"about=nowhere.example.com": "No domain with this name",
		"about=%00":                 "No domain with this name"} {
		s.get("/settings/audit?"+query).want(http.StatusNotFound, says).has(`aria-invalid="true"`,
			"autofocus").hasNot(old.ID, "/api/audit-logs/export")
	}
	for _, query := range []string{"action=domain.gone", "since=yesterday", "until=2026-02-30",
		"cursor=abc"} {
		s.get("/settings/audit?" + query).want(http.StatusBadRequest)
	}
}

func TestAuditLogOfOtherOrganization(t *testing.T) {
	s := newSignedIn(t)
	other := s.newOrg("Other Ltd")
	foreign := s.add(other, "foreign.example.com")
	token, _ := s.token(other, lifecycle.NewToken{Name: "theirs"})
	s.get("/settings/audit").want(http.StatusOK).hasNot("foreign.example.com", "theirs", foreign.ID)
	s.get("/settings/audit?about=foreign.example.com").want(http.StatusNotFound,
		"No domain with this name")
	for _, id := range []string{foreign.ID, token.ID, other.ID} {
		s.get("/settings/audit?about="+id).want(http.StatusOK, "No entries match")
	}
	// An ID of the other organization in this log does not reveal the name.
	e := s.record(controlplane.AuditEntry{Actor: controlplane.Actor{Type: controlplane.ActorToken,
		ID: token.ID}, Action: controlplane.ActionCheckRequested,
		EntityType: "domain", EntityID: foreign.ID})
	s.get("/settings/audit").entryOf(e.ID).want(http.StatusOK, foreign.ID,
		token.ID).hasNot("foreign.example.com", "theirs", `href="/domains`)
	s.newVisitor().get("/settings/audit?actor=x").to(signInTo("/settings/audit?actor=x"))
}

// Every member can read the log.
func TestAuditLogForMembers(t *testing.T) {
	s := newSignedIn(t)
	s.addMember(s.org, aMember, controlplane.RoleMember)
	s.signedInAs(aMember).get("/settings/audit").want(http.StatusOK, "Member added a-member",
		"Export CSV")
}

func TestAuditLogEscapes(t *testing.T) {
	s := newSignedIn(t)
	hostile := `"><script>alert(1)</script>`
	e := s.record(controlplane.AuditEntry{Actor: controlplane.Actor{Type: controlplane.ActorUser,
		ID: hostile, IP: hostile, RequestID: hostile}, Action: "x." + hostile, EntityType: hostile,
		EntityID: hostile,
		Before:   map[string]any{hostile: hostile},
		After:    map[string]any{hostile: []any{hostile}, "name": hostile},
		Details:  map[string]any{hostile: map[string]any{hostile: hostile}, "detail": hostile}})
	s.get("/settings/audit").hasNot("<script>alert").entryOf(e.ID).want(http.StatusOK, hostile)
}

func TestAuditLogPages(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	for i := range entriesPerPage + 9 {
		s.record(controlplane.AuditEntry{Actor: controlplane.System("worker"),
			Action: controlplane.ActionOrderFailed, EntityType: "domain", EntityID: d.ID,
			Details: map[string]any{"detail": fmt.Sprintf("try %03d", i)}})
	}
	first := s.get("/settings/audit?action=domain.order_failed").want(http.StatusOK, "try 058",
		"try 009", "Next page").hasNot("try 008", "First page")
	link := strings.ReplaceAll(regexp.MustCompile(
		`href="(/settings/audit\?[^"]*cursor=[^"]*)"`).FindStringSubmatch(first.body)[1], "&amp;",
		"&")
	s.get(link).want(http.StatusOK, "try 008", "try 000", "First page").hasNot("try 009",
		"Next page")
	s.get(link + "&actor=worker").want(http.StatusBadRequest)
}

// noSealer fails on use: responses to GET requests are not stored.
type noSealer struct{ edge.Sealer }

// The links work with the session cookie of the dashboard.
func TestAuditLogExportLinks(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	a := s.get("/settings/audit?action=domain.created&about=example.com&since=2026-01-01&until=2099-12-31").want(http.StatusOK, "Export CSV", "Export NDJSON")
	s.add(s.org, "other.example.com")
	rest, err := api.New(api.Config{Store: s.store, Lifecycle: s.life, Sealer: noSealer{},
		CursorKey: bytes.Repeat([]byte{3}, 32)})
	s.must(err)
	for _, format := range []string{"csv", "ndjson"} {
		q := url.Values{"format": {format}, "action": {"domain.created"}, "entity": {d.ID},
			"since": {"2026-01-01T00:00:00Z"}, "until": {"2100-01-01T00:00:00Z"}}
		a.has(`href="/api/audit-logs/export?` + strings.ReplaceAll(q.Encode(), "&", "&amp;") +
			`" download`)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/audit-logs/export?"+
			q.Encode(), nil)
		r.AddCookie(&http.Cookie{Name: s.dash.cookieName(), Value: s.cookieOf()})
		w := httptest.NewRecorder()
		rest.ServeHTTP(w, r)
		if got := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(got, d.ID) ||
			strings.Contains(got, "other.example.com") {
			t.Errorf("export as %s = %d %s, want 200 with %s only", format, w.Code, got, d.ID)
		}
	}
}
