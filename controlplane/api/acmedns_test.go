package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// TestACMEDNSAccounts creates, reads, changes, rotates, and deletes an account. Its password is
// only in the responses that create it.
func TestACMEDNSAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	created := w.do("POST", "/api/acmedns-accounts", map[string]any{"description": "mail",
		"allow_from": []string{"192.0.2.0/24", "[2001:db8::1]/64"}}).is(201)
	id, path := created.string("id"), "/api/acmedns-accounts/"+created.string("id")
	if got := created.header.Get("Location"); got != path ||
		created.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers = %v, want the Location %s, and no-store", created.header, path)
	}
	subdomain := created.string("subdomain")
	if created.string("fulldomain") != subdomain+"."+w.service.Zone ||
		created.string("server_url") != w.api.config.PublicURL+"/acmedns" ||
		len(created.string("password")) != 40 {
		t.Errorf("created %s, want its own target, the URL, and a password", created.body)
	}
	passwords := []string{created.string("password")}
	got := w.do("GET", path, nil).is(200)
	if got.string("description") != "mail" ||
		!strings.Contains(got.body, `"allow_from":["192.0.2.0/24","2001:db8::1/64"]`) {
		t.Errorf("GET = %s, want the description and the networks", got.body)
	}
	if ids := w.do("GET", "/api/acmedns-accounts", nil).is(200).ids(); !slices.Equal(ids,
		[]string{id}) {
		t.Errorf("list = %v, want %s", ids, id)
	}
	changed := w.do("PATCH", path, map[string]any{"description": "", "allow_from": []string{}}).
		is(200)
	if changed.string("description") != "" || !strings.Contains(changed.body, `"allow_from":[]`) {
		t.Errorf("PATCH = %s, want neither description nor networks", changed.body)
	}
	rotated := w.do("POST", path+"/rotate", nil).is(200)
	passwords = append(passwords, rotated.string("password"))
	if created.json["rotated_at"] != nil || rotated.string("rotated_at") == "" {
		t.Errorf("rotated_at = %v, then %v, want null, then a time", created.json["rotated_at"],
			rotated.json["rotated_at"])
	}
	if passwords[0] == passwords[1] || rotated.string("username") != created.string("username") {
		t.Errorf("rotation = %s, want the same user with another password", rotated.body)
	}
	for _, c := range []struct {
		body map[string]any
		code string
	}{
		{map[string]any{"allow_from": []string{"192.0.2.1"}}, "network-invalid"},
		{map[string]any{"delegation_id": "nowhere.example.com"}, "delegation-unknown"},
		{map[string]any{"delegation_id": controlplane.NewID(controlplane.PrefixDelegation)},
			"delegation-unknown"},
	} {
		w.do("POST", "/api/acmedns-accounts", c.body).problem(422, c.code)
		w.do("PATCH", path, c.body).problem(422, c.code)
	}
	w.do("DELETE", path, nil).is(204)
	w.do("GET", path, nil).problem(404, "not-found")
	w.do("DELETE", path, nil).problem(404, "not-found")
	text := w.do("GET", "/api/audit-logs", nil).is(200).body
	for _, action := range []string{"registered", "updated", "rotated", "deleted"} {
		if !strings.Contains(text, "acmedns_account."+action) {
			t.Errorf("audit log = %s, want acmedns_account.%s", text, action)
		}
	}
	for _, row := range postgrestest.RowsOf(t, w.dsn, w.org) {
		text += strings.Join(row, "\n")
	}
	for _, password := range passwords {
		if strings.Contains(text, password) {
			t.Errorf("the audit log or a row contains the password %s", password)
		}
	}
}

// An account uses the target of a delegation only with domains:write. The delegation stays while it
// does.
func TestACMEDNSAccountAtDelegation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "example.com")
	g, err := w.store.Delegation(t.Context(), w.org, d.Name, nil)
	if err != nil {
		t.Fatal(err)
	}
	few := as(w.newToken(w.org, lifecycle.NewToken{Scopes: []controlplane.Scope{
		controlplane.ScopeACMEDNSRead, controlplane.ScopeACMEDNSWrite}}))
	attached := map[string]any{"delegation_id": "Example.com"}
	w.do("POST", "/api/acmedns-accounts", attached, few).problem(403, "scope-missing")
	own := w.do("POST", "/api/acmedns-accounts", map[string]any{}, few).is(201)
	path := "/api/acmedns-accounts/" + own.string("id")
	w.do("PATCH", path, attached, few).problem(403, "scope-missing")

	a := w.do("PATCH", path, attached).is(200)
	if a.string("fulldomain") != g.Target+"."+w.service.Zone ||
		a.string("subdomain") != own.string("subdomain") || a.string("delegation_id") != g.ID {
		t.Errorf("PATCH = %s, want the target of %s with the same subdomain", a.body, g.ID)
	}
	w.do("POST", path+"/rotate", nil, few).problem(403, "scope-missing")
	w.do("PATCH", path, map[string]any{"description": "ok"}, few).is(200)
	g, err = w.store.Delegation(t.Context(), w.org, g.ID, nil)
	if err != nil || !g.Pinned {
		t.Errorf("Delegation = %+v, %v, want a pinned one", g, err)
	}
	delegation := "/api/delegations/" + g.ID
	w.do("PATCH", delegation, map[string]any{"pinned": false}).problem(409, "delegation-in-use")
	w.do("DELETE", "/api/domains/"+d.ID, nil).is(204)
	w.do("DELETE", delegation, nil).problem(409, "delegation-in-use")
	w.do("PATCH", path, map[string]any{"delegation_id": nil}, few).is(200)
	detached := w.do("GET", path, nil).is(200)
	if detached.string("fulldomain") != own.string("fulldomain") {
		t.Errorf("fulldomain after the detachment = %s, want %s", detached.string("fulldomain"),
			own.string("fulldomain"))
	}
	w.do("DELETE", delegation, nil).is(204)
}

// A registration key is shown once, and stops working when it is deleted.
func TestACMEDNSKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	created := w.do("POST", "/api/acmedns-keys", map[string]any{"name": " fleet "}).is(201)
	url, ok := strings.CutPrefix(created.string("url"), w.api.config.PublicURL+"/acmedns/")
	if !ok || !controlplane.WellFormedRegistration(url) || created.string("name") != "fleet" ||
		!strings.HasPrefix(url, created.string("prefix")) {
		t.Errorf("created %s, want a URL with the secret", created.body)
	}
	path := "/api/acmedns-keys/" + created.string("id")
	shown := w.do("GET", path, nil).is(200).body + w.do("GET", "/api/acmedns-keys", nil).is(200).body +
		w.do("GET", "/api/audit-logs", nil).is(200).body
	if strings.Contains(shown, url) || !strings.Contains(shown, "acmedns_key.created") {
		t.Errorf("responses = %s, want no secret, and the audit entry", shown)
	}
	w.do("POST", "/api/acmedns-keys", map[string]any{"name": " "}).problem(422, "name-invalid")
	for _, status := range []int{http.StatusNoContent, http.StatusNotFound} {
		w.do("DELETE", path, nil).is(status)
	}
}
