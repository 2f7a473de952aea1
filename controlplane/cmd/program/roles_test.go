package program

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

// TestPartsWithOwnRoles runs each part with its own database role: domains are issued, renewed,
// revoked, and removed, events are delivered, tokens are rotated, and all sweeps run. No statement
// lacks a right.
func TestPartsWithOwnRoles(t *testing.T) {
	t.Parallel()
	u := startUpgrade(t)
	if out := u.output("", "migrate", "--roles=dcvaas"); !strings.Contains(out, "dcvaas_work") {
		t.Errorf("migrate --roles=dcvaas = %q, want the names of the roles", out)
	}
	as := func(part string) string {
		u.exec(`ALTER ROLE dcvaas_` + part + ` LOGIN PASSWORD 'not-a-secret'`)
		dsn, err := url.Parse(u.Config.Database)
		must(t, err)
		dsn.User = url.UserPassword("dcvaas_"+part, "not-a-secret")
		return "--database-url=" + dsn.String()
	}
	org := strings.TrimSpace(u.output("", "admin", "create-org", "--tier=agency", "Least"))
	u.Token = strings.TrimSpace(u.output("", "admin", "create-token", "--org="+org))
	u.start("new", "", "dns", as("dns"))
	u.start("new", "", "work", as("work"))
	u.api, _ = u.serve("new", "", as("serve"))
	delivered := make(chan struct{}, 1000)
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		delivered <- struct{}{}
	}))
	t.Cleanup(receiver.Close)
	endpoint := u.api.Endpoint()
	call := func(method, path, body string, want int) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, endpoint+path,
			strings.NewReader(body))
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+u.Token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", path+body)
		resp, err := http.DefaultClient.Do(r)
		must(t, err)
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s %s as dcvaas_serve = %s, want %d", method, path, resp.Status, want)
		}
	}
	call("POST", "/api/webhooks", `{"url":"`+receiver.URL+`"}`, http.StatusCreated)
	call("POST", "/api/tokens", `{"name":"other","scopes":["domains:read"]}`, http.StatusCreated)
	call("POST", "/api/invitations", `{"role":"member"}`, http.StatusCreated)
	_, err := u.api.PinDelegation(t.Context(), "pinned.example.com")
	must(t, err)

	d := u.waitActive(u.addSeveral("several.example.com").Id)
	first := d.CertificateId.MustGet()
	call("POST", "/api/certificates/"+first+"/key", "", http.StatusOK)
	u.eventually("a renewal", func() error {
		_, err := u.api.RenewDomain(t.Context(), d.Id)
		return err
	})
	u.waitDomain(d.Id, "renewed", func(d *client.Domain) bool {
		return d.Status == client.DomainStatusActive && d.CertificateId.MustGet() != first
	})
	call("POST", "/api/certificates/"+first+"/revoke", `{"reason":"superseded"}`,
		http.StatusAccepted)
	u.eventually("the revocation", func() error {
		c, err := u.api.Certificate(t.Context(), first)
		if err == nil && c.RevokedAt.IsNull() {
			err = errNotYet
		}
		return err
	})
	second := u.waitActive(u.add("deleted.example.com").Id)
	must(t, u.api.DeleteDomain(t.Context(), second.Id))
	for _, path := range []string{"/api/audit-logs", "/api/jobs", "/api/certificates",
		"/api/organization", "/api/organization/usage", "/api/members", "/api/delegations"} {
		call("GET", path, "", http.StatusOK)
	}
	select {
	case <-delivered:
	case <-time.After(time.Minute):
		t.Error("waited a minute for an event")
	}
	// Two more rounds of the sweeps, of which the first is complete.
	for range 2 {
		const finished = `SELECT coalesce(max(finished_at), 'epoch') FROM leases WHERE name = 'dcvaas-recount'`
		before := query[time.Time](u.stack, finished)
		u.eventually("the next sweep", func() error {
			if !query[time.Time](u.stack, finished).After(before) {
				return errNotYet
			}
			return nil
		})
	}
	for _, text := range []string{"permission denied", "must be owner"} {
		if lines := u.logs.linesWith(text); len(lines) > 0 {
			t.Errorf("the processes logged %d times %q, want 0:\n%s", len(lines), text,
				strings.Join(lines, ""))
		}
	}
}
