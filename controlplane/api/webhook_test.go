package api

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

func TestWebhookFromCreationToDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.do("POST", "/api/webhooks", map[string]any{"url": "https://example.com/hook",
		"description": "ours", "events": []string{"domain.created"}}).is(201)
	id, secret := a.string("id"), a.string("secret")
	path := "/api/webhooks/" + id
	if a.header.Get("Location") != path || a.header.Get("Cache-Control") != "no-store" ||
		a.json["enabled"] != true || !strings.HasPrefix(secret, "whsec_") {
		t.Errorf("POST /api/webhooks = %v %s, want an enabled webhook with its secret, uncached",
			a.header, a.body)
	}
	for _, got := range []*answer{w.do("GET", path, nil).is(200),
		w.do("GET", "/api/webhooks", nil).is(200)} {
		if strings.Contains(got.body, secret) || !strings.Contains(got.body, id) {
			t.Errorf("webhook = %s, want %s without its secret", got.body, id)
		}
	}
	a = w.do("PATCH", path, map[string]any{"enabled": false, "events": []string{}}).is(200)
	if a.json["enabled"] != false || len(a.json["events"].([]any)) != 0 ||
		a.json["description"] != "ours" {
		t.Errorf("webhook after PATCH = %s, want it disabled for all events", a.body)
	}
	if again := w.do("POST", path+"/rotate-secret", nil).is(200); again.string(
		"secret") == secret || again.json["previous_secret_until"] == nil {
		t.Errorf("rotate-secret = %s, want a new secret and previous_secret_until", again.body)
	}
	w.do("DELETE", path, nil).is(204)
	w.do("GET", path, nil).problem(404, "not-found")
	log := w.do("GET", "/api/audit-logs?entity="+id, nil).is(200)
	for _, action := range []string{"webhook.created", "webhook.updated", "webhook.secret_rotated",
		"webhook.deleted"} {
		if !strings.Contains(log.body, action) {
			t.Errorf("the log lacks %s", action)
		}
	}
	if strings.Contains(log.body, secret) || strings.Contains(log.body, "/hook\"") ||
		strings.Contains(w.log.String(), secret) {
		t.Error("a secret is in the log")
	}
}

func TestWebhookRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.do("POST", "/api/webhooks", map[string]any{"url": "http://10.0.0.1/",
		"events": []string{"domain.cretaed"}, "secret": "whsec_hush"}).problem(422,
		"invalid-fields")
	if got := a.pointers(); !slices.Equal(got,
		[]string{"/url webhook-url", "/events/0 event-unknown", "/secret webhook-secret"}) ||
		!strings.Contains(a.body, "domain.created") || strings.Contains(a.body, "hush") {
		t.Errorf("problem = %s, want errors about url, events, and secret", a.body)
	}
	for range controlplane.TierFree.Webhooks() {
		w.do("POST", "/api/webhooks", map[string]any{"url": "https://example.com"}).is(201)
	}
	w.do("POST", "/api/webhooks", map[string]any{"url": "https://example.com"}).problem(403,
		"plan-limit")
	id := w.do("GET", "/api/webhooks?limit=1", nil).is(200).ids()[0]
	w.do("POST", "/api/webhooks/"+id+"/redeliver",
		map[string]any{"since": "2020-01-01T00:00:00Z"}).problem(422, "range-invalid")
	w.do("GET", "/api/webhooks/whk_nonsense", nil).problem(404, "not-found")
	w.do("GET", "/api/webhooks/"+id+"/deliveries/"+controlplane.NewID(controlplane.PrefixDelivery),
		nil).problem(404, "not-found")
}

// A retry gets the same secret, which is not readable in the database.
func TestWebhookIdempotencyKeepsNoSecretOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body, key := map[string]any{"url": "https://example.com"}, header("Idempotency-Key", "k1")
	first, again := w.do("POST", "/api/webhooks", body, key).is(201),
		w.do("POST", "/api/webhooks", body, key).is(201)
	secret := first.string("secret")
	if again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" ||
		len(w.do("GET", "/api/webhooks", nil).ids()) != 1 {
		t.Errorf("%s, then %s", first.body, again.body)
	}
	conn, err := pgx.Connect(t.Context(), w.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var open bool
	err = conn.QueryRow(t.Context(),
		`SELECT bool_or(position($1::bytea in k.body) > 0 OR position($2 in k::text) > 0) FROM idempotency_keys k`, []byte(secret), secret).Scan(&open)
	if err != nil || open {
		t.Errorf("the secret lies open: %v, %v", open, err)
	}
}

func TestWebhookDeliveriesAreListedAndSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.do("POST", "/api/webhooks", map[string]any{"url": "https://example.com",
		"events": []string{"domain.created", "domain.deleted"}}).is(201).string("id")
	for _, name := range []string{"a", "b", "c"} {
		w.newDomain(w.org, name+".example.com")
	}
	w.do("DELETE", "/api/domains/a.example.com", nil).is(204)
	path := "/api/webhooks/" + id + "/deliveries"
	all := w.do("GET", path, nil).is(200).ids()
	var walked []string
	for query := (url.Values{"limit": {"1"}}); ; {
		a := w.do("GET", path+"?"+query.Encode(), nil).is(200)
		walked = append(walked, a.ids()...)
		if a.json["has_more"] == false {
			break
		}
		query.Set("cursor", a.string("next_cursor"))
	}
	if len(all) != 4 || !slices.Equal(all, walked) {
		t.Errorf("%v in one, %v one by one", all, walked)
	}
	for query, n := range map[string]int{"status=pending": 4, "status=failed": 0,
		"type=domain.created": 3, "type=domain.deleted&status=pending": 1} {
		if got := w.do("GET", path+"?"+query, nil).is(200).ids(); len(got) != n {
			t.Errorf("GET %s?%s = %v, want %d deliveries", path, query, got, n)
		}
	}
	d := w.do("GET", path+"/"+all[0], nil).is(200)
	if d.string("event_type") != "domain.deleted" || len(d.json["attempts"].([]any)) != 0 ||
		d.json["last_error"] != nil || d.json["next_attempt_at"] == nil {
		t.Errorf("delivery = %s, want domain.deleted without attempts", d.body)
	}
	if a := w.do("POST", path+"/"+all[0]+
		"/redeliver", nil).is(202); a.header.Get("Location") != path+"/"+all[0] ||
		a.string("event_id") != d.string("event_id") {
		t.Errorf("redeliver = %v %s, want the same delivery", a.header, a.body)
	}
	since := d.string("created_at")[:10] + "T00:00:00Z"
	if a := w.do("POST", "/api/webhooks/"+id+
		"/redeliver", map[string]any{"since": since}).is(202); a.json["queued"] != 4.0 {
		t.Errorf("redeliver since %s = %s, want 4 queued", since, a.body)
	}
	a := w.do("POST", "/api/webhooks/"+id+"/test", nil).is(202)
	if a.string("event_type") != "webhook.test" ||
		!slices.Contains(w.do("GET", path, nil).ids(), a.string("id")) {
		t.Errorf("test = %s, want a listed delivery of webhook.test", a.body)
	}
	w.do("PATCH", "/api/webhooks/"+id, map[string]any{"enabled": false}).is(200)
	w.do("POST", path+"/"+all[0]+"/redeliver", nil).problem(409, "webhook-disabled")
}

// A caller without access to all domains has no access to webhooks, their jobs, and their events.
func TestRestrictedTokenSeesNothingOfWebhooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine := w.newDomain(w.org, "mine.example.com")
	restricted := as(w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		DomainIDs: []string{mine.ID}}))
	id := w.do("POST", "/api/webhooks", map[string]any{"url": "https://example.com"}).is(
		201).string("id")
	w.do("POST", "/api/webhooks/"+id+"/test", nil).is(202)
	jobs := w.do("GET", "/api/jobs?type=webhook_delivery", nil).is(200)
	if len(jobs.ids()) != 1 || !strings.Contains(jobs.body, `"domain_id":""`) {
		t.Fatalf("delivery jobs = %s, want one without a domain", jobs.body)
	}
	job := "/api/jobs/" + jobs.ids()[0]
	w.do("GET", job, nil).is(200)
	w.do("GET", job, nil, restricted).problem(403, "token-restricted")
	w.do("POST", job+"/retry", nil, restricted).problem(403, "token-restricted")
	if got := w.do("GET", "/api/jobs?type=webhook_delivery", nil,
		restricted).is(200).ids(); len(got) != 0 {
		t.Errorf("jobs %v", got)
	}
	if got := w.do("GET", "/api/events", nil, restricted).is(200); strings.Contains(got.body, id) {
		t.Errorf("events for a restricted token = %s, want none of webhook %s", got.body, id)
	}
	if got := w.do("GET", "/api/events?type=webhook.created", nil).is(200); !strings.Contains(
		got.body, id) {
		t.Errorf("webhook.created events = %s, want one of %s", got.body, id)
	}
	w.do("GET", "/api/webhooks", nil, restricted).problem(403, "token-restricted")
	w.do("POST", "/api/webhooks", map[string]any{"url": "https://example.com"},
		restricted).problem(403, "token-restricted")
}
