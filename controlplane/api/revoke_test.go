package api

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func TestRevoke(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "revoke.example.com")
	c := w.newCertificate(d, false)
	path := "/api/certificates/" + c.ID
	if a := w.do("GET", path, nil).is(200); a.json["revoked_at"] != nil ||
		a.json["revocation_reason"] != nil {
		t.Errorf("before: %s", a.body)
	}
	if a := w.do("GET", "/api/jobs/"+w.jobOf(w.org, d.ID).ID,
		nil).is(200); a.json["certificate_id"] != nil {
		t.Errorf("a check of a certificate: %s", a.body)
	}

	job := w.do("POST", path+"/revoke", map[string]any{"reason": "superseded"}).is(202)
	if job.string("type") != "revocation" || job.string("certificate_id") != c.ID ||
		job.string("domain_id") != d.ID || job.header.Get("Location") != "/api/jobs/"+
		job.string("id") {
		t.Errorf("job: %s", job.body)
	}
	again := w.do("POST", path+"/revoke", map[string]any{"reason": "superseded",
		"replace": true}).is(200)
	if again.string("id") != job.string("id") ||
		again.header.Get("Location") != job.header.Get("Location") {
		t.Errorf("again: %s", again.body)
	}
	if got := w.do("GET", "/api/jobs?type=revocation", nil).is(200).ids(); !slices.Equal(got,
		[]string{job.string("id")}) {
		t.Errorf("revocations %v", got)
	}
	if n := w.count(
		`SELECT count(*) FROM audit_logs WHERE action = 'certificate.revoke_requested' AND entity_id = $1 AND details->>'reason' = 'superseded'`, c.ID); n != 1 {
		t.Errorf("%d records", n)
	}
	if n := w.count(`SELECT count(*) FROM jobs WHERE type = 'start_issuance'`); n != 0 {
		t.Error("a certificate that is not the current one was replaced")
	}

	err := w.store.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.CertificateRevoked(t.Context(), w.org, c.ID, "superseded", time.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := w.do("GET", path, nil).is(200); a.json["revoked_at"] == nil ||
		a.json["revocation_reason"] != "superseded" {
		t.Errorf("after: %s", a.body)
	}
	if a := w.do("POST", path+"/revoke", map[string]any{"reason": "superseded"}).problem(409,
		"certificate-revoked"); a.json["existing_id"] != c.ID {
		t.Errorf("existing_id %v", a.json["existing_id"])
	}
}

// A new certificate is ordered if the current one is revoked and a replacement was requested, or
// its key is compromised.
func TestRevokeAndReplace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		body   map[string]any
		orders int
	}{
		"plain.example.com": {map[string]any{"reason": "unspecified", "replace": false}, 0},
		"replace.example.com": {map[string]any{"reason": "cessationOfOperation", "replace": true},
			1},
		"key.example.com": {map[string]any{"reason": "keyCompromise"}, 1},
	} {
		d := w.newDomain(w.org, name)
		cert := w.newCertificate(d, false)
		w.exec(`UPDATE domains SET certificate_id = $1 WHERE id = $2`, cert.ID, d.ID)
		w.do("POST", "/api/certificates/"+cert.ID+"/revoke", c.body).is(202)
		if n := w.count(
			`SELECT count(*) FROM jobs WHERE type = 'start_issuance' AND domain_id = $1`,
			d.ID); n != c.orders {
			t.Errorf("%s: %d orders, want %d", name, n, c.orders)
		}
	}
}

func TestRevokeWrongly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newCertificate(w.newDomain(w.org, "wrongly.example.com"), false)
	for _, x := range []struct {
		body, code, pointer string
		status              int
	}{
		{`{}`, "field-required", "/reason field-required", 422},
		{`{"reason":"hunter2"}`, "not-one-of", "/reason not-one-of", 422},
		{`{"reason":"cACompromise"}`, "not-one-of", "/reason not-one-of", 422},
		{`{"reason":"superseded","replace":"yes"}`, "wrong-type", "/replace wrong-type", 422},
		{`{"reason":"superseded","force":true}`, "unknown-field", "/force unknown-field", 400},
	} {
		a := w.do("POST", "/api/certificates/"+c.ID+"/revoke", x.body).problem(x.status, x.code)
		if got := a.pointers(); !slices.Equal(got, []string{x.pointer}) ||
			strings.Contains(a.body, "hunter2") {
			t.Errorf("POST %s = %s, want pointers [%s]", x.body, a.body, x.pointer)
		}
	}
	if n := w.count(`SELECT count(*) FROM jobs WHERE type = 'revocation'`); n != 0 {
		t.Errorf("%d revocations", n)
	}
}

// The contract lists the revocation reasons of the root package.
func TestRevocationReasons(t *testing.T) {
	t.Parallel()
	doc, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range doc.Components.Schemas["RevocationReason"].Value.Enum {
		got = append(got, v.(string))
	}
	if want := controlplane.RevocationReasons(); !slices.Equal(got, want) {
		t.Errorf("the contract has %v, there are %v", got, want)
	}
}
