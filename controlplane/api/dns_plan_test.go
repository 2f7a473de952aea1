package api

import (
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// TestDNSPlan plans the records of a domain and of a delegation.
func TestDNSPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := w.service.CreateConnection(t.Context(), controlplane.System("test"), w.org,
		newConnection())
	if err != nil {
		t.Fatal(err)
	}
	d := w.do("POST", "/api/domains", map[string]any{"name": "shop.example.com",
		"additional_names": []any{"txt.example.com", "shop.example.net"}}).is(201)
	body := map[string]any{"connection_id": c.ID}
	w.hosts.has = map[string][]controlplane.RecordSet{"_acme-challenge.txt.example.com": {{
		Name: "_acme-challenge.txt.example.com", Type: "TXT", Values: []string{`"hidden"`}}}}
	a := w.do("POST", "/api/domains/"+d.string("id")+"/dns/plan", body).is(200)
	for _, want := range []string{
		`"action":"create","after":{"name":"_acme-challenge.shop.example.com","type":"CNAME"`,
		`"action":"replace","after":{"name":"_acme-challenge.txt.example.com"`,
		`"values":["\"hidden\""]`, `"kind":"conflict"`, `"kind":"no-zone"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("plan = %s, want it to contain %s", a.body, want)
		}
	}
	a = w.do("POST", "/api/delegations/txt.example.com/dns/plan", body).is(200)
	if strings.Contains(a.body, "shop.example") || !strings.Contains(a.body, `"replace"`) {
		t.Errorf("plan of a delegation = %s, want only its record", a.body)
	}
	w.applies(d.string("id"), c.ID)
	w.hosts.does(hostError(controlplane.HostUnreachable, "No response."))
	w.do("POST", "/api/domains/shop.example.com/dns/apply", body).problem(503,
		"dns-host-unreachable")
	w.do("POST", "/api/domains/shop.example.com/dns/plan", body).problem(503,
		"dns-host-unreachable")
	w.do("POST", "/api/domains/shop.example.com/dns/plan",
		map[string]any{"connection_id": "x"}).problem(404, "not-found")
}

// applies applies plans of the domain of TestDNSPlan, and runs the job.
func (w *world) applies(id, connection string) {
	w.t.Helper()
	at := "/api/domains/" + id + "/dns/"
	plan := w.do("POST", at+"plan", map[string]any{"connection_id": connection}).is(200)
	apply := map[string]any{"plan_id": plan.string("plan_id")}
	txt := map[string]any{"name": "_acme-challenge.txt.example.com", "type": "TXT",
		"values": []any{`"other"`}}
	for _, invalid := range []map[string]any{
		{"plan_id": plan.string("plan_id"), "connection_id": connection},
		{"overwrite": []any{txt}}} {
		w.do("POST", at+"apply", invalid).problem(422, "plan-or-connection")
	}
	w.do("POST", at+"apply", map[string]any{"plan_id": connection + ".x"}).problem(409,
		"dns-changed")
	w.do("POST", at+"apply", map[string]any{"plan_id": "x"}).problem(404, "not-found")
	w.do("POST", at+"apply", map[string]any{"connection_id": connection,
		"overwrite": []any{txt}}).problem(409, "dns-changed")
	w.do("POST", "/api/delegations/txt.example.com/dns/apply",
		map[string]any{"connection_id": connection}).problem(409, "dns-conflict")
	w.do("POST", "/api/delegations/shop.example.net/dns/apply",
		map[string]any{"connection_id": connection}).problem(409, "zone-not-in-connection")

	token := as(w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		DomainIDs: []string{id}}))
	a := w.do("POST", at+"apply", apply, token).is(202)
	if a.string("type") != "dns_apply" || a.string("connection_id") != connection ||
		a.string("domain_id") != "" || a.header.Get("Location") != "/api/jobs/"+a.string("id") {
		w.t.Errorf("apply = %s, want a job of the connection", a.body)
	}
	w.do("GET", "/api/jobs/"+a.string("id"), nil, token).is(200)
	txt["values"] = []any{`"hidden"`}
	again := w.do("POST", "/api/delegations/txt.example.com/dns/apply", map[string]any{
		"connection_id": connection, "overwrite": []any{txt}}).is(202)
	if again.string("id") != a.string("id") {
		w.t.Errorf("apply of a delegation = %s, want the open job", again.body)
	}
	j, err := w.store.Job(w.t.Context(), w.org, a.string("id"))
	if err == nil {
		err = w.service.RunJob(w.t.Context(), j.ID, j.Generation)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	done := w.do("GET", "/api/jobs/"+j.ID, nil).is(200)
	if !strings.Contains(done.body, `"created":2`) || done.string("status") != "succeeded" {
		w.t.Errorf("the job = %s, want two records", done.body)
	}
	// The result can name domains that the token cannot access.
	if got := w.do("GET", "/api/jobs/"+j.ID, nil, token).is(200); got.json["result"] != nil {
		w.t.Errorf("result of the job for a restricted token = %v, want null", got.json["result"])
	}
	checks, _, err := w.store.ListJobs(w.t.Context(), w.org, postgres.JobFilter{DomainID: id,
		Type: controlplane.JobDNSCheck, Limit: 1})
	if err != nil || len(checks) != 1 || checks[0].RunAt.After(time.Now()) {
		w.t.Errorf("the checks of the domain are %v, %v, want one that is due", checks, err)
	}
	events := w.do("GET", "/api/audit-logs?limit=100", nil).is(200)
	if !strings.Contains(events.body, "delegation.record_created") {
		w.t.Errorf("the log = %s, want the creation of records", events.body)
	}
}
