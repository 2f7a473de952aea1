package api

import (
	"encoding/csv"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// actions returns the actions, or types, of a list's page.
func (a *answer) actions() []string {
	out := []string{}
	list, _ := a.json["data"].([]any)
	for _, item := range list {
		m := item.(map[string]any)
		if action, ok := m["action"].(string); ok {
			out = append(out, action)
		} else {
			out = append(out, m["type"].(string))
		}
	}
	return out
}

// history creates a few entries: two domains, one of them changed and deleted, a downloaded key,
// and a retried job.
func (w *world) history() (kept, gone *controlplane.Domain, c *controlplane.Certificate,
	began time.Time) {
	w.t.Helper()
	began = time.Now()
	kept, gone = w.newDomain(w.org, "kept.example.com"), w.newDomain(w.org, "gone.example.com")
	c = w.newCertificate(kept, false)
	w.do("PATCH", "/api/domains/"+kept.ID, map[string]any{"auto_renew": false},
		header("Request-Id", "req-patch")).is(200)
	w.do("POST", "/api/certificates/"+c.ID+"/key", nil).is(200)
	w.do("DELETE", "/api/domains/"+gone.ID, nil).is(204)
	w.exec(`UPDATE jobs SET status = 'failed'`)
	w.do("POST", "/api/jobs/"+w.jobOf(w.org, kept.ID).ID+"/retry", nil).is(202)
	return kept, gone, c, began
}

func TestAuditLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kept, gone, c, began := w.history()
	all := w.do("GET", "/api/audit-logs", nil).is(200)
	want := []string{"job.retried", "domain.deleted", "certificate.key_downloaded",
		"domain.updated", "domain.created", "domain.created", "token.created",
		"organization.created"}
	if got := all.actions(); !slices.Equal(got, want) {
		t.Fatalf("actions = %v, want %v", got, want)
	}
	entry := all.json["data"].([]any)[3].(map[string]any)
	actor := entry["actor"].(map[string]any)
	token := w.do("GET", "/api/tokens", nil).is(200).ids()[0]
	if actor["type"] != "token" || actor["id"] != token || actor["ip"] != "127.0.0.1" ||
		entry["request_id"] != "req-patch" || entry["entity_id"] != kept.ID ||
		entry["before"].(map[string]any)["auto_renew"] != true ||
		entry["after"].(map[string]any)["auto_renew"] != false || entry["details"] != nil {
		t.Errorf("entry = %v, want the update of auto_renew by token %s", entry, token)
	}
	middle := url.QueryEscape(entry["created_at"].(string))
	for query, want := range map[string][]string{
		"actor=" + token: {"job.retried", "domain.deleted", "certificate.key_downloaded",
			"domain.updated"},
		"actor=test": {"domain.created", "domain.created", "token.created",
			"organization.created"},
		"actor=nobody": {},
		"action=domain.created&entity=" + gone.ID: {"domain.created"},
		"entity=" + gone.ID:                       {"domain.deleted", "domain.created"},
		"entity=" + c.ID:                          {"certificate.key_downloaded"},
		"entity=KEPT.example.com": {"job.retried", "certificate.key_downloaded",
			"domain.updated", "domain.created"},
		"entity=" + token:                     {"token.created"},
		"entity=" + w.org:                     {"organization.created"},
		"entity=" + controlplane.NewID("job"): {},
		"since=" + middle: {"job.retried", "domain.deleted",
			"certificate.key_downloaded", "domain.updated"},
		"until=" + middle + "&action=domain.created": {"domain.created",
			"domain.created"},
		"since=" + middle + "&until=" + middle:                                  {},
		"since=" + began.UTC().Format("2006-01-02T15:04:05Z") + "&actor=nobody": {},
	} {
		if got := w.do("GET", "/api/audit-logs?"+query, nil).is(200).actions(); !slices.Equal(got,
			want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	w.do("GET", "/api/audit-logs?entity=gone.example.com", nil).problem(404, "not-found")
	w.do("GET", "/api/audit-logs?since=yesterday", nil).problem(400, "invalid-parameter")

	timeline := w.do("GET", "/api/domains/kept.example.com/timeline", nil).is(200)
	if got := timeline.actions(); !slices.Equal(got,
		[]string{"job.retried", "certificate.key_downloaded", "domain.updated", "domain.created"}) {
		t.Errorf("timeline %v", got)
	}
	if strings.Contains(timeline.body, "127.0.0.1") {
		t.Error("the timeline shows addresses")
	}
	for _, e := range timeline.json["data"].([]any) {
		if data := e.(map[string]any)["data"].(map[string]any); data["domain_id"] != kept.ID {
			t.Errorf("timeline event = %v, want domain_id %s", e, kept.ID)
		}
	}
	w.do("GET", "/api/domains/gone.example.com/timeline", nil).problem(404, "not-found")
	if got := w.do("GET", "/api/domains/"+kept.ID+
		"/certificates", nil).is(200).ids(); !slices.Equal(got, []string{c.ID}) {
		t.Errorf("certificates %v", got)
	}
	events := w.do("GET", "/api/events", nil).is(200)
	if got := events.actions(); !slices.Equal(got,
		[]string{"job.retried", "domain.deleted", "certificate.key_downloaded", "domain.updated",
			"domain.created", "domain.created"}) {
		t.Errorf("events %v", got)
	}
	for query, want := range map[string][]string{
		"type=domain.deleted": {"domain.deleted"},
		"domain=kept.example.com": {"job.retried", "certificate.key_downloaded", "domain.updated",
			"domain.created"},
		"domain=" + gone.ID: {"domain.deleted", "domain.created"},
	} {
		if got := w.do("GET", "/api/events?"+query, nil).is(200).actions(); !slices.Equal(got,
			want) {
			t.Errorf("events?%s: %v, want %v", query, got, want)
		}
	}
}

// Every list of the log, one entry per page, equals the list as a whole, even if many entries have
// the same time.
func TestPagingOfTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		_ = i
		w.newDomain(w.org, name+".example.com")
	}
	d := w.newDomain(w.org, "log.example.com")
	for range 5 {
		w.logEntry(controlplane.ActionCheckRequested, d.ID, now)
		w.newCertificate(d, true)
	}
	for _, path := range []string{"/api/audit-logs?", "/api/audit-logs?entity=" + d.ID + "&",
		"/api/events?", "/api/events?domain=" + d.ID + "&", "/api/domains/" + d.ID + "/timeline?",
		"/api/domains/" + d.ID + "/certificates?"} {
		all := w.do("GET", path+"limit=200", nil).is(200)
		if all.json["has_more"] != false || all.json["next_cursor"] != nil || len(all.ids()) < 5 {
			t.Errorf("GET %s = %s, want at least 5 objects on one page", path, all.body)
		}
		var walked []string
		for cursor := ""; ; {
			a := w.do("GET", path+"limit=2&cursor="+cursor, nil).is(200)
			walked = append(walked, a.ids()...)
			if a.json["has_more"] == false {
				break
			}
			cursor = a.string("next_cursor")
			w.do("GET", "/api/domains?cursor="+cursor, nil).problem(400, "invalid-cursor")
			// what comes meanwhile is not in between
			w.logEntry(controlplane.ActionCheckRequested, d.ID, time.Now().Add(time.Second))
		}
		if !slices.Equal(walked, all.ids()) {
			t.Errorf("%s: %v in one, %v one by one", path, all.ids(), walked)
		}
	}
}

// logEntry appends to the log.
func (w *world) logEntry(action, domainID string, at time.Time) string {
	w.t.Helper()
	e := controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent), OrgID: w.org,
		Actor: controlplane.System("test"), Action: action,
		EntityType: "domain", EntityID: domainID, CreatedAt: at}
	if err := w.store.Audit(w.t.Context(), e); err != nil {
		w.t.Fatal(err)
	}
	return e.ID
}

// A restricted token reads only entries of its domains.
func TestLogOfARestrictedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	kept, gone, c, _ := w.history()
	restricted := as(w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		DomainIDs: []string{kept.ID}}))
	for _, path := range []string{"/api/audit-logs", "/api/events", "/api/audit-logs/export",
		"/api/audit-logs?entity=" + gone.ID, "/api/audit-logs/export?format=ndjson",
		"/api/events?domain=" + gone.ID} {
		a := w.do("GET", path, nil, restricted).is(200)
		if strings.Contains(a.body, gone.ID) || strings.Contains(a.body, "token.created") ||
			strings.Contains(a.body, "organization.created") {
			t.Errorf("GET %s with a restricted token = %s, want nothing of other domains", path,
				a.body)
		}
	}
	if got := w.do("GET", "/api/audit-logs", nil, restricted).is(200).actions(); len(got) != 4 {
		t.Errorf("actions for a restricted token = %v, want 4", got)
	}
	if got := w.do("GET", "/api/audit-logs?entity="+c.ID, nil,
		restricted).is(200).actions(); len(got) != 1 {
		t.Errorf("actions of certificate %s for a restricted token = %v, want 1", c.ID, got)
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "export.example.com")
	at := time.Now().Add(-time.Hour)
	const many = 2*edge.ExportPage + 7
	for i := range many {
		w.logEntry(controlplane.ActionCheckRequested, d.ID, at.Add(time.Duration(i/3)*time.Second))
	}
	w.do("POST", "/api/domains/"+d.ID+"/issue", nil, header("Request-Id", "-1:cmd")).is(202)

	a := w.do("GET", "/api/audit-logs/export", nil).is(200)
	if a.header.Get("Content-Type") != "text/csv; charset=utf-8; header=present" ||
		!strings.HasPrefix(a.header.Get("Content-Disposition"),
			`attachment; filename="audit-log-`) {
		t.Errorf("headers of the export = %v, want CSV as an attachment", a.header)
	}
	lines, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 1+many+4 || lines[0][0] != "id" || len(lines[0]) != 12 {
		t.Errorf("%d lines, %v", len(lines), lines[0])
	}
	seen := map[string]bool{}
	for i, line := range lines[1:] {
		if seen[line[0]] {
			t.Errorf("%s comes twice", line[0])
		}
		seen[line[0]] = true
		if i > 0 && lines[i][1] > line[1] && len(lines[i][1]) == len(line[1]) {
			t.Errorf("%s before %s", lines[i][1], line[1])
		}
	}
	if last := lines[len(lines)-1]; last[5] != "domain.issue_requested" || last[11] != "'-1:cmd" ||
		!strings.HasPrefix(last[10], `{"job_id"`) || last[9] != "" {
		t.Errorf("last line = %q, want domain.issue_requested with an escaped request ID", last)
	}
	b := w.do("GET", "/api/audit-logs/export?format=ndjson&action=domain.check_requested&since="+
		url.QueryEscape(at.Add(time.Second).UTC().Format(time.RFC3339)), nil).is(200)
	n := 0
	for line := range strings.SplitSeq(strings.TrimSpace(b.body), "\n") {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil ||
			e["action"] != "domain.check_requested" {
			t.Fatalf("line of the export = %s (%v), want domain.check_requested", line, err)
		}
		n++
	}
	if n < many-6 || n > many-2 {
		t.Errorf("%d entries", n)
	}
	w.do("GET", "/api/audit-logs/export?format=xml", nil).problem(400, "invalid-parameter")
	if h := w.do("HEAD", "/api/audit-logs/export", nil).is(200); h.body != "" {
		t.Error("HEAD has a body")
	}
}
