package api

import (
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// TestConnectionOfDomains sets the connection of domains and delegations in every way.
func TestConnectionOfDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	connect := func(org string) string {
		t.Helper()
		c, err := w.service.CreateConnection(t.Context(), controlplane.System("test"), org,
			newConnection())
		if err != nil {
			t.Fatal(err)
		}
		return c.ID
	}
	id, foreign := connect(w.org), connect(w.newOrg("Other"))
	wantID := func(a *answer, want any) {
		t.Helper()
		if got := a.json["connection_id"]; got != want {
			t.Errorf("connection_id = %v, want %v", got, want)
		}
	}
	for _, path := range []string{"/api/domains", "/api/delegations"} {
		for _, unknown := range []string{foreign, "con_x", "x"} {
			a := w.do("POST", path, map[string]any{"name": "unknown.example.com",
				"connection_id": unknown}).problem(422, "connection-unknown")
			if !strings.Contains(a.body, `"/connection_id"`) {
				t.Errorf("POST %s with the connection %s = %s, want a pointer", path, unknown, a.body)
			}
		}
		a := w.do("POST", path, map[string]any{"name": path[5:8] + ".example.com",
			"connection_id": nil}).is(201)
		wantID(a, nil)
	}
	w.do("POST", "/api/domains?dry_run=true", map[string]any{"name": "a.example.com",
		"connection_id": id}).is(204)
	a := w.do("POST", "/api/domains", map[string]any{"name": "a.example.com",
		"connection_id": id}).is(201)
	wantID(a, id)
	if tag := w.do("GET", a.header.Get("Location"), nil).is(200).header.Get("ETag"); tag !=
		a.header.Get("ETag") || !strings.Contains(a.body, controlplane.ReasonApplyPending) {
		t.Errorf("POST = %s %s, want the ETag %s and dns-apply-pending", a.header.Get("ETag"), a.body,
			tag)
	}
	path := "/api/domains/a.example.com"
	wantID(w.do("PATCH", path, map[string]any{"connection_id": nil}).is(200), nil)
	w.do("PATCH", path, map[string]any{"connection_id": foreign}).problem(422, "connection-unknown")
	wantID(w.do("PATCH", path, map[string]any{"connection_id": id}).is(200), id)
	wantID(w.do("GET", path, nil).is(200), id)

	a = w.do("POST", "/api/delegations", map[string]any{"name": "p.example.com",
		"connection_id": id}).is(201)
	wantID(a, id)
	path = "/api/delegations/p.example.com"
	wantID(w.do("PATCH", path, map[string]any{"connection_id": nil}).is(200), nil)
	wantID(w.do("POST", "/api/delegations", map[string]any{"name": "p.example.com",
		"connection_id": id}).is(200), id)
	w.do("PATCH", path, map[string]any{"connection_id": foreign}).problem(422, "connection-unknown")

	bulk := w.do("POST", "/api/domains/bulk", "name,connection_id\nb.example.com,"+id+
		"\nc.example.com,con_x\n", header("Content-Type", "text/csv")).is(200)
	for _, want := range []string{`"connection_id":"` + id, `"code":"connection-unknown"`,
		`"/lines/3/connection_id"`} {
		if !strings.Contains(bulk.body, want) {
			t.Errorf("bulk creation = %s, want it to contain %s", bulk.body, want)
		}
	}
	w.do("DELETE", "/api/dns-connections/"+id, nil).is(204)
	wantID(w.do("GET", "/api/domains/b.example.com", nil).is(200), nil)
}

// TestBulkApplyDNS sets the connection of many domains.
func TestBulkApplyDNS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := w.service.CreateConnection(t.Context(), controlplane.System("test"), w.org,
		newConnection())
	if err != nil {
		t.Fatal(err)
	}
	id := w.do("POST", "/api/domains", map[string]any{"name": "a.example.com"}).is(201).string("id")
	w.do("POST", "/api/domains", map[string]any{"name": "b.example.com",
		"connection_id": c.ID}).is(201)
	theirs := w.newDomain(w.newOrg("Other"), "theirs.example.com")
	body := map[string]any{"connection_id": c.ID, "domains": []any{id, "B.example.com.",
		"none.example.com", "-", theirs.ID}}
	path := "/api/domains/bulk/dns/apply"
	a := w.do("POST", path, body).is(200)
	var status []string
	for _, one := range a.json["data"].([]any) {
		status = append(status, one.(map[string]any)["status"].(string))
	}
	if got, want := strings.Join(status, " "),
		"updated unchanged refused refused refused"; got != want {
		t.Errorf("statuses = %s, want %s", got, want)
	}
	for _, want := range []string{`"updated":1`, `"unchanged":1`, `"refused":3`,
		`"domain_id":"` + id, `"code":"not-found"`, `"job_id":"job_`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("bulk apply = %s, want it to contain %s", a.body, want)
		}
	}
	j, err := w.store.OpenConnectionJob(t.Context(), w.org, c.ID)
	if err == nil {
		err = w.service.RunJob(t.Context(), j.ID, j.Generation)
	}
	if err != nil || len(w.hosts.has) != 2 {
		t.Fatalf("after the job %v, the host has %v, want two records", err, w.hosts.has)
	}
	if a = w.do("POST", path, body).is(200); !strings.Contains(a.body, `"unchanged":2`) ||
		!strings.Contains(a.body, `"job_id":null`) {
		t.Errorf("bulk apply again = %s, want no change and no job", a.body)
	}
	w.do("POST", path, map[string]any{"connection_id": "con_x",
		"domains": []any{id}}).problem(422, "connection-unknown")
	only := as(w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		DomainIDs: []string{id}}))
	w.do("POST", path, body, only).problem(403, "token-restricted")
	w.do("PATCH", "/api/domains/"+id, map[string]any{"connection_id": c.ID},
		only).problem(403, "token-restricted")
	w.do("PATCH", "/api/domains/"+id, map[string]any{"connection_id": nil}, only).is(200)
}
