package api

import (
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func TestDomainFromCreationToDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	record := w.do("GET", "/api/delegation?name=B%C3%9Ccher.Example.COM.", nil).is(200)
	if got := record.string("name"); got != "_acme-challenge.xn--bcher-kva.example.com" {
		t.Errorf("record name %s", got)
	}
	a := w.do("POST", "/api/domains", map[string]any{"name": "BÜcher.example.com", "wildcard": true,
		"ca": "second", "profile": nil,
		"labels": map[string]string{"team": "red"}, "auto_renew": false}).is(201)
	if a.json["delegation"].(map[string]any)["target"] != record.string("target") {
		t.Errorf("delegation %v, planned %s", a.json["delegation"], record.body)
	}
	for field, want := range map[string]any{"name": "xn--bcher-kva.example.com",
		"status": "pending_cname", "wildcard": true, "ca": "second",
		"key_type": "ec256", "auto_issue": true, "auto_renew": false, "profile": nil,
		"csr_pem": nil, "certificate_id": nil, "expires_at": nil} {
		if a.json[field] != want {
			t.Errorf("%s is %v, want %v", field, a.json[field], want)
		}
	}
	id := a.string("id")
	if got := a.header.Get("Location"); got != "/api/domains/"+id {
		t.Errorf("Location %q", got)
	}
	for _, ref := range []string{id, "xn--bcher-kva.example.com", "B%C3%BCcher.EXAMPLE.com."} {
		if got := w.do("GET", "/api/domains/"+ref, nil).is(200).string("id"); got != id {
			t.Errorf("%s is %s", ref, got)
		}
	}
	b := w.do("PATCH", "/api/domains/b%C3%BCcher.example.com", map[string]any{"ca": nil,
		"auto_renew": true, "labels": map[string]string{}}).is(200)
	if b.json["ca"] != nil || b.json["auto_renew"] != true || b.json["wildcard"] != true ||
		len(b.json["labels"].(map[string]any)) != 0 {
		t.Errorf("after the patch: %s", b.body)
	}
	if a.header.Get("ETag") == b.header.Get("ETag") {
		t.Error("the ETag stayed")
	}
	w.do("DELETE", "/api/domains/xn--bcher-kva.example.com", nil).is(204)
	w.do("GET", "/api/domains/"+id, nil).problem(404, "not-found")
	w.do("DELETE", "/api/domains/"+id, nil).problem(404, "not-found")
}

func TestWorkOnADomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "work.example.com")
	first := w.jobOf(w.org, d.ID)
	a := w.do("POST", "/api/domains/WORK.example.com/verify", nil).is(200)
	if a.string("id") != first.ID || a.header.Get("Location") != "/api/jobs/"+first.ID {
		t.Errorf("want the job in progress, got %s", a.body)
	}
	b := w.do("POST", "/api/domains/"+d.ID+"/issue", nil).is(202)
	if b.string("type") != "start_issuance" || b.string("domain_id") != d.ID ||
		b.header.Get("Location") != "/api/jobs/"+b.string("id") {
		t.Errorf("issue: %s", b.body)
	}
	if again := w.do("POST", "/api/domains/"+d.ID+"/issue", nil,
		header("Request-Id", "again")).is(200); again.string("id") != b.string("id") {
		t.Errorf("issue again: %s", again.body)
	}
	w.exec(`UPDATE jobs SET status = 'failed', attempts = 4, dead_lettered_at = now(), last_error_code = 'ca-unreachable', last_error = 'It is away.', last_error_acme = $2 WHERE id = $1`, b.string("id"), `{"type":"urn:ietf:params:acme:error:serverInternal","status":500}`)
	dead := w.do("GET", b.header.Get("Location"), nil).is(200)
	last := dead.json["last_error"].(map[string]any)
	if last["code"] != "ca-unreachable" || dead.json["dead_lettered_at"] == nil {
		t.Errorf("dead: %s", dead.body)
	}
	if problem := last["acme"].(map[string]any); problem["type"] != "urn:ietf:params:acme:error:serverInternal" || problem["status"] != 500.0 {
		t.Errorf("the CA's words: %s", dead.body)
	}
	w.exec(`UPDATE jobs SET last_error_acme = NULL WHERE id = $1`, b.string("id"))
	ours := w.do("GET", b.header.Get("Location"), nil).is(200).json["last_error"].(map[string]any)
	if problem, told := ours["acme"]; problem != nil || !told {
		t.Errorf("what is not the CA's: %v", ours)
	}
	if r := w.do("POST", "/api/jobs/"+b.string("id")+
		"/retry", nil).is(202); r.json["attempts"] != 0.0 || r.string("status") != "queued" {
		t.Errorf("retry: %s", r.body)
	}
	w.do("POST", "/api/jobs/"+b.string("id")+"/retry", nil).is(200)
	w.exec(`UPDATE jobs SET status = 'succeeded', result = '{"certificate_id":"crt_1"}' WHERE id = $1`, b.string("id"))
	w.do("POST", "/api/jobs/"+b.string("id")+"/retry", nil).problem(409, "job-succeeded")
	w.exec(`UPDATE domains SET certificate_id = 'crt_1' WHERE id = $1`, d.ID)
	if r := w.do("POST", "/api/domains/"+d.ID+
		"/renew", nil).is(202); r.string("type") != "renewal" {
		t.Errorf("renew: %s", r.body)
	}
}

// A certificate that was just renewed can be renewed again an hour later, even with the same
// Idempotency-Key: a rejection is not stored.
func TestRenewedRecently(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "renewed.example.com")
	first, second := w.newCertificate(d, false), w.newCertificate(d, false)
	w.exec(`UPDATE certificates SET names = '{renewed.example.com}', replaced_by = CASE id WHEN $1 THEN $2 ELSE '' END WHERE domain_id = $3`, first.ID, second.ID, d.ID)
	w.exec(`UPDATE domains SET certificate_id = $2, renew_at = now() + interval '60 days' WHERE id = $1`, d.ID, second.ID)
	w.exec(`UPDATE jobs SET status = 'succeeded'`)
	again := second.CreatedAt.Add(controlplane.RenewalPause).Format(time.RFC3339Nano)
	for _, verb := range []string{"renew", "issue"} {
		a := w.do("POST", "/api/domains/"+d.ID+"/"+verb, nil, key("k-"+verb)).problem(429,
			"renewed-recently")
		if a.string("retry_at") != again || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: retry_at is %s, want %s: %s", verb, a.string("retry_at"), again, a.body)
		}
	}
	w.exec(`UPDATE certificates SET created_at = created_at - interval '1 hour'`)
	w.do("POST", "/api/domains/"+d.ID+"/renew", nil, key("k-renew")).is(202)
	w.do("POST", "/api/domains/"+d.ID+"/issue", nil).is(200)
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "download.example.com")
	c := w.newCertificate(d, false)
	count := func(text string) (n int) {
		for rest := []byte(text); ; n++ {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				if len(rest) > 0 {
					t.Errorf("something follows: %q", rest)
				}
				return n
			}
		}
	}
	path := "/api/certificates/" + c.ID
	full := w.do("GET", path+"/download", nil).is(200)
	leaf, chain := w.do("GET", path+"/download?format=leaf", nil).is(200),
		w.do("GET", path+"/download?format=chain", nil).is(200)
	if count(full.body) != 2 || count(leaf.body) != 1 || count(chain.body) != 1 ||
		leaf.body+chain.body != full.body {
		t.Errorf("full %d, leaf %d, chain %d", count(full.body), count(leaf.body),
			count(chain.body))
	}
	if got := full.header.Get(
		"Content-Disposition"); got != `attachment; filename="download.example.com-fullchain.pem"` {
		t.Errorf("Content-Disposition %s", got)
	}
	if got := full.header.Get("Content-Type"); got != "application/pem-certificate-chain" {
		t.Errorf("Content-Type %s", got)
	}
	if a := w.do("GET", path, nil).is(200); a.json["has_key"] != true ||
		strings.Contains(a.body, "PRIVATE") {
		t.Errorf("certificate: %s", a.body)
	}

	w.do("GET", path+"/key", nil).is(405)
	key := w.do("POST", path+"/key", nil, header("Request-Id", "take-1")).is(200)
	if !strings.HasPrefix(key.body, "-----BEGIN PRIVATE KEY-----") ||
		key.header.Get("Cache-Control") != "no-store" {
		t.Errorf("key %v", key.header)
	}
	if strings.Contains(w.log.String(), "PRIVATE KEY") {
		t.Error("a key was logged")
	}
	log, _, err := w.store.ListLog(t.Context(), w.org,
		postgres.LogFilter{EntityID: c.ID, Limit: 10})
	if err != nil || len(log) != 1 || log[0].Action != controlplane.ActionKeyDownloaded {
		t.Fatalf("audit %v %v", log, err)
	}
	if actor := log[0].Actor; actor.Type != controlplane.ActorToken ||
		actor.RequestID != "take-1" || actor.IP != "127.0.0.1" || actor.ID == "" {
		t.Errorf("actor %+v", actor)
	}
	w.do("POST", "/api/certificates/"+w.newCertificate(d, true).ID+"/key", nil).problem(409,
		"key-not-held")
}

func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.do("POST", "/api/tokens", map[string]any{"name": " ci ",
		"scopes":     []string{"domains:read", "tokens:write"},
		"expires_at": "2099-01-01T00:00:00+02:00"}).is(201)
	secret, id := a.string("token"), a.string("id")
	if !controlplane.WellFormed(secret) || a.string("expires_at") != "2098-12-31T22:00:00Z" ||
		a.string("name") != "ci" {
		t.Errorf("created: %s", a.body)
	}
	w.do("POST", "/api/tokens", map[string]any{"name": "x", "scopes": []string{"jobs:read"},
		"expires_at": "2050-01-01T00:00:00Z"}, as(secret)).problem(422, "scope-exceeds")
	w.do("POST", "/api/tokens", map[string]any{"name": "x", "scopes": []string{"domains:read"},
		"expires_at": nil}, as(secret)).problem(422, "expires-exceeds")
	if got := w.do("PATCH", "/api/tokens/"+id,
		map[string]any{"name": "build"}).is(200).string("name"); got != "build" {
		t.Errorf("name %s", got)
	}
	got := w.do("GET", "/api/tokens/"+id, nil).is(200)
	if strings.Contains(got.body, secret) || got.json["last_used_at"] == nil {
		t.Errorf("token: %s", got.body)
	}
	used := got.string("last_used_at")
	w.do("GET", "/api/domains", nil, as(secret)).is(200)
	if again := w.do("GET", "/api/tokens/"+id, nil).is(200).string("last_used_at"); again != used {
		t.Errorf("used at %s, then at %s: more than once a minute", used, again)
	}
	w.do("DELETE", "/api/tokens/"+id, nil).is(204)
	w.do("GET", "/api/domains", nil, as(secret)).problem(401, "token-invalid")
}
