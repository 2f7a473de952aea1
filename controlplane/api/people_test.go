package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// person is a signed-in user.
type person struct {
	id     string
	login  string
	cookie option
}

// cookie sends the session cookie instead of the token.
func cookie(secret string) option {
	return func(r *http.Request) {
		r.Header.Del("Authorization")
		r.Header.Set("Cookie", "__Host-dcvaas_session="+secret)
	}
}

// person adds a member who signs in.
func (w *world) person(org string, role controlplane.Role) person {
	w.t.Helper()
	a := account()
	m, err := w.service.AddMember(w.t.Context(), controlplane.System("test"), org, a, role)
	if err != nil {
		w.t.Fatal(err)
	}
	return person{id: m.User.ID, login: m.User.Login, cookie: w.signIn(a)}
}

func (w *world) signIn(a controlplane.GitHubAccount) option {
	w.t.Helper()
	_, secret, err := w.service.SignIn(w.t.Context(), controlplane.Actor{}, "test", a)
	if err != nil {
		w.t.Fatal(err)
	}
	return cookie(secret)
}

// A signed-in user is recorded as a user in the organization of the session.
func TestSessionActs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(w.org, controlplane.RoleAdmin)
	d := w.do("POST", "/api/domains", map[string]any{"name": "mine.example.com"},
		p.cookie).is(201).string("id")
	entries, _, err := w.store.ListLog(t.Context(), w.org,
		postgres.LogFilter{EntityID: d, Limit: 1})
	if err != nil || entries[0].Actor.Type != controlplane.ActorUser ||
		entries[0].Actor.ID != p.id {
		t.Errorf("ListLog(%s) = %+v, %v, want user %s as the actor", d, entries, err, p.id)
	}
	a := w.do("POST", "/api/tokens", map[string]any{"name": "x",
		"scopes": []string{"domains:write", "members:write"}}, p.cookie).problem(422,
		"scope-exceeds")
	if got := a.pointers(); !slices.Equal(got, []string{"/scopes/1 scope-exceeds"}) {
		t.Errorf("pointers = %q, want /scopes/1 scope-exceeds", got)
	}
	token := w.do("POST", "/api/tokens", map[string]any{"name": "x",
		"scopes": []string{"domains:write"}}, p.cookie).is(201)
	w.do("POST", "/api/domains", map[string]any{"name": "by-token.example.com"},
		as(token.string("token"))).is(201)
	// A token takes precedence: an invalid token is rejected even with a valid cookie.
	w.do("GET", "/api/domains", nil, p.cookie, as(controlplane.NewSecret())).problem(401,
		"token-invalid")
	w.do("GET", "/api/domains", nil, anonymous, header("Cookie", "dcvaas_session=x")).problem(401,
		"token-missing")

	// The current role applies.
	if _, err := w.service.SetRole(t.Context(), controlplane.System("test"), nil, w.org, p.id,
		controlplane.RoleMember, false); err != nil {
		t.Fatal(err)
	}
	w.do("POST", "/api/domains", map[string]any{"name": "late.example.com"}, p.cookie).problem(403,
		"role-missing")
	w.do("GET", "/api/domains/"+d, nil, p.cookie).is(200)
	if err := w.service.RemoveMember(t.Context(), controlplane.System("test"), nil, w.org, p.id,
		false); err != nil {
		t.Fatal(err)
	}
	w.do("GET", "/api/domains/"+d, nil, p.cookie).problem(401, "session-ended")
}

// Calls with a session are accepted only from our own pages; programs send no
// origin.
func TestSessionFromAnotherSite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person(w.org, controlplane.RoleOwner)
	body := map[string]any{"name": "x.example.com"}
	for _, from := range [][]option{
		{header("Sec-Fetch-Site", "cross-site")},
		{header("Sec-Fetch-Site", "same-site")},
		{header("Origin", "https://evil.test")},
		{header("Origin", "null")},
	} {
		w.do("POST", "/api/domains", body, append(from, p.cookie)...).problem(403, "cross-origin")
		w.do("DELETE", "/api/members/"+p.id, nil, append(from, p.cookie)...).problem(403,
			"cross-origin")
		w.do("GET", "/api/domains", nil, append(from, p.cookie)...).problem(403, "cross-origin")
		// with a token
		w.do("POST", "/api/domains", map[string]any{"name": controlplane.NewID("x")[2:] +
			".example.com"}, from...).is(201)
	}
	w.do("POST", "/api/domains", body, p.cookie, header("Sec-Fetch-Site", "same-origin")).is(201)
	w.do("POST", "/api/domains", map[string]any{"name": "y.example.com"}, p.cookie,
		header("Origin", "https://dcvaas.test"), header("Sec-Fetch-Site", "cross-site")).is(201)
}

// A used session is extended, and an unused one expires.
func TestSessionOfTheAPIExpires(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := newWorld(t, func(c *Config) { c.Now = func() time.Time { return now } })
	p := w.person(w.org, controlplane.RoleMember)
	for range 3 {
		now = now.Add(controlplane.SessionIdle - time.Minute)
		w.do("GET", "/api/domains", nil, p.cookie).is(200)
	}
	now = now.Add(controlplane.SessionIdle + time.Minute)
	w.do("GET", "/api/domains", nil, p.cookie).problem(401, "session-ended")
}

// A response for one user is not returned to another one with the same key.
func TestIdempotencyOfSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.person(w.org, controlplane.RoleOwner), w.person(w.org, controlplane.RoleOwner)
	body := map[string]any{"role": "member"}
	first := w.do("POST", "/api/invitations", body, one.cookie, key("k")).is(201)
	if again := w.do("POST", "/api/invitations", body, one.cookie,
		key("k")).is(201); again.body != first.body ||
		again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%s, then %s", first.body, again.body)
	}
	w.do("POST", "/api/invitations", body, two.cookie, key("k")).problem(422,
		"idempotency-key-reused")
	w.do("POST", "/api/invitations", body, key("k")).problem(422, "idempotency-key-reused")
}

func TestStreamEndsWithTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.heartbeat = 20 * time.Millisecond
	p := w.person(w.org, controlplane.RoleMember)
	f := w.follow("", "", p.cookie)
	if f.status != 200 {
		t.Fatalf("status %d", f.status)
	}
	if err := w.service.RemoveMember(t.Context(), controlplane.System("test"), nil, w.org, p.id,
		false); err != nil {
		t.Fatal(err)
	}
	for range f.lines { // until it ends
	}
}

func TestMembersOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner, member := w.person(w.org, controlplane.RoleOwner),
		w.person(w.org, controlplane.RoleMember)
	a := w.do("POST", "/api/members", map[string]any{"login": "octocat", "role": "admin"},
		owner.cookie).is(201)
	if a.string("login") != "octocat" || a.json["joined"] != false ||
		a.string("state") != "pending" || a.string("invited_by") != owner.id ||
		a.json["expires_at"] == nil || a.header.Get("Location") != "/api/members/"+a.string("id") {
		t.Errorf("POST /api/members = %s, want octocat pending, invited by %s", a.body, owner.id)
	}
	w.do("POST", "/api/members", map[string]any{"login": "nobody", "role": "admin"}).problem(422,
		"login-unknown")
	if b := w.do("POST", "/api/members", map[string]any{"login": "octocat", "role": "owner"},
		owner.cookie).problem(409, "member-exists"); b.string("existing_id") != a.string("id") {
		t.Errorf("existing_id = %q, want %q", b.string("existing_id"), a.string("id"))
	}
	w.do("GET", "/api/members/OctoCat", nil, member.cookie).is(200)
	for _, ref := range []string{"no-one", "usr_x", "a%00b", "%ff"} {
		w.do("GET", "/api/members/"+ref, nil).problem(404, "not-found")
		w.do("PATCH", "/api/members/"+ref, map[string]any{"role": "admin"}).problem(404,
			"not-found")
		w.do("DELETE", "/api/members/"+ref, nil).problem(404, "not-found")
		w.do("DELETE", "/api/members/"+ref, nil, member.cookie).problem(403, "role-missing")
	}
	if got := w.do("PATCH", "/api/members/octocat", map[string]any{"role": "owner"},
		owner.cookie).is(200).string("role"); got != "owner" {
		t.Errorf("role %s", got)
	}
	w.do("PATCH", "/api/members/octocat", map[string]any{"role": "king"}).problem(422, "not-one-of")

	var walked []string
	for path := "/api/members?limit=1"; ; {
		page := w.do("GET", path, nil).is(200)
		walked = append(walked, page.ids()...)
		if page.json["has_more"] != true {
			break
		}
		path = "/api/members?limit=1&cursor=" + page.string("next_cursor")
	}
	if want := []string{owner.id, member.id, a.string("id")}; !slices.Equal(walked, want) {
		t.Errorf("%q, want %q", walked, want)
	}

	// Every signed-in user except the last owner can leave.
	w.do("DELETE", "/api/members/"+owner.id, nil, member.cookie).problem(403, "role-missing")
	w.do("DELETE", "/api/members/"+strings.ToUpper(member.login), nil, member.cookie).is(204)
	w.do("GET", "/api/members", nil, member.cookie).problem(401, "session-ended")
	w.do("DELETE", "/api/members/octocat", nil, owner.cookie).is(204)
	w.do("DELETE", "/api/members/"+owner.id, nil, owner.cookie).problem(409, "last-owner")
	w.do("PATCH", "/api/members/"+owner.id, map[string]any{"role": "admin"},
		owner.cookie).problem(409, "last-owner")
}

func TestTransferOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner, heir := w.person(w.org, controlplane.RoleOwner), w.person(w.org, controlplane.RoleMember)
	w.do("POST", "/api/organization/transfer", map[string]any{"to": heir.login,
		"from": owner.id}).problem(403, "session-required")
	w.do("POST", "/api/organization/transfer", map[string]any{"to": heir.login, "from": owner.id},
		heir.cookie).problem(403, "role-missing")
	w.do("POST", "/api/organization/transfer", map[string]any{"to": "nobody"},
		owner.cookie).problem(422, "member-unknown")
	if got := w.do("POST", "/api/organization/transfer", map[string]any{"to": heir.login},
		owner.cookie).is(200).string("id"); got != heir.id {
		t.Errorf("the new owner is %s, want %s", got, heir.id)
	}
	w.do("POST", "/api/organization/transfer", map[string]any{"to": owner.id, "from": heir.login},
		owner.cookie).problem(403, "role-missing")
	w.do("POST", "/api/organization/transfer", map[string]any{"to": owner.id, "from": heir.login},
		heir.cookie).is(200)
	if got := w.do("GET", "/api/members/"+heir.id, nil).is(200).string("role"); got != "admin" {
		t.Errorf("the former owner's role is %s, want admin", got)
	}
}

func TestInvitationsOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.person(w.org, controlplane.RoleOwner)
	a := w.do("POST", "/api/invitations", map[string]any{"role": "admin",
		"expires_in_seconds": 300}, owner.cookie).is(201)
	link := a.string("link")
	secret, ours := strings.CutPrefix(link, "https://dcvaas.test/invitations/")
	if !ours || !controlplane.IsRandomSecret(secret) ||
		a.header.Get("Cache-Control") != "no-store" || a.string("created_by") != owner.id {
		t.Errorf("invitation = %s, want a link with a secret, uncached, created by %s", a.body,
			owner.id)
	}
	list := w.do("GET", "/api/invitations", nil).is(200)
	if !slices.Equal(list.ids(), []string{a.string("id")}) || strings.Contains(list.body, secret) {
		t.Errorf("GET /api/invitations = %s, want %s without the secret", list.body, a.string("id"))
	}
	limits := w.do("POST", "/api/invitations", map[string]any{"role": "admin",
		"expires_in_seconds": 299}).problem(422, "out-of-range")
	if !strings.Contains(limits.body, "from 300 to 2592000.") {
		t.Errorf("the limits are in %s, want numbers without exponents", limits.body)
	}
	for _, seconds := range []string{"3600.0", "3.6e3"} { // integers in JSON
		more := w.do("POST", "/api/invitations", `{"role":"admin","expires_in_seconds":`+seconds+
			`}`, owner.cookie).is(201)
		w.do("DELETE", "/api/invitations/"+more.string("id"), nil).is(204)
	}
	w.do("DELETE", "/api/invitations/inv_x", nil).problem(404, "not-found")
	w.do("DELETE", "/api/invitations/"+a.string("id"), nil).is(204)
	w.do("DELETE", "/api/invitations/"+a.string("id"), nil).problem(404, "not-found")
	if _, err := w.store.InvitationByHash(t.Context(), controlplane.HashSecret(secret),
		time.Now()); !controlplane.IsKind(err, controlplane.KindNotFound) {
		t.Errorf("its link leads somewhere: %v", err)
	}
	if strings.Contains(w.log.String(), secret) {
		t.Error("the secret is logged")
	}
}

func TestOrganizationOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.newEstate(w.org, "usage.example.com")
	u := w.do("GET", "/api/organization/usage", nil).is(200).json
	if u["members"] != 2.0 || u["tokens"] != 2.0 || u["certificates_30d"] != 1.0 ||
		u["audit_retention_days"] != 90.0 ||
		u["domains"].(map[string]any)["used"] != 1.0 ||
		u["webhooks"].(map[string]any)["used"] != 1.0 ||
		u["webhooks"].(map[string]any)["limit"] != 5.0 {
		t.Errorf("usage = %v, want the counts of one estate", u)
	}
	if got := w.do("PATCH", "/api/organization", map[string]any{"name": "Größer & Co"}).is(
		200).string("name"); got != "Größer & Co" {
		t.Errorf("name after PATCH = %q, want %q", got, "Größer & Co")
	}
	w.do("PATCH", "/api/organization", map[string]any{"name": "  "}).problem(422, "name-invalid")
	owner := w.person(w.org, controlplane.RoleOwner)
	w.do("DELETE", "/api/organization?confirm=Test", nil, owner.cookie).problem(422,
		"confirm-mismatch")
	w.do("DELETE", "/api/organization?confirm=Gr%C3%B6%C3%9Fer+%26+Co", nil, owner.cookie).is(202)
	w.do("GET", "/api/organization", nil, owner.cookie).problem(401, "session-ended")
	w.do("GET", "/api/organization", nil).problem(401, "token-invalid")
	if exists, _, err := w.store.LookupTarget(t.Context(), e.domain.Target, time.Now()); exists ||
		err != nil {
		t.Errorf("the target still answers: %v, %v", exists, err)
	}
	entries, _, err := w.store.ListLog(t.Context(), w.org, postgres.LogFilter{Limit: 1})
	if err != nil || len(entries) != 1 || entries[0].Action != controlplane.ActionOrgDeleted ||
		entries[0].Actor.ID != owner.id {
		t.Errorf("last log entry = %+v, %v, want the deletion by %s", entries, err, owner.id)
	}
}
