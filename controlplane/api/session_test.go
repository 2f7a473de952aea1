package api

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Users list and end their own sessions in all organizations, and only those.
func TestSessionsOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.heartbeat = 20 * time.Millisecond
	a := account()
	if _, err := w.service.AddMember(t.Context(), controlplane.System("test"), w.org, a,
		controlplane.RoleMember); err != nil {
		t.Fatal(err)
	}
	other := w.newOrg("Other Ltd")
	first, second, third := person{cookie: w.signIn(a)}, person{cookie: w.signIn(a)},
		person{cookie: w.signIn(a)}
	one, two, three := w.sessionOf(first), w.sessionOf(second), w.sessionOf(third)
	w.exec(`INSERT INTO organization_members (org_id, user_id, role, created_at) VALUES ($1, $2, 'member', now())`, other, one.User.ID)
	if err := w.service.SwitchOrganization(t.Context(), controlplane.System("test"), two,
		other); err != nil {
		t.Fatal(err)
	}
	stranger := w.person(w.org, controlplane.RoleOwner)

	list := w.do("GET", "/api/sessions", nil, first.cookie).is(http.StatusOK)
	if got, want := list.ids(), []string{three.ID, two.ID, one.ID}; !slices.Equal(got, want) {
		t.Errorf("GET /api/sessions lists %q, want %q", got, want)
	}
	for _, item := range list.json["data"].([]any) {
		s := item.(map[string]any)
		org, name := w.org, "Test"
		if s["id"] == two.ID {
			org, name = other, "Other Ltd"
		}
		if s["current"] != (s["id"] == one.ID) || s["organization_id"] != org ||
			s["organization_name"] != name || s["user_agent"] != "test" {
			t.Errorf("GET /api/sessions has %v, want it in %s, current only if %s", s, name, one.ID)
		}
	}
	var walked []string
	for path := "/api/sessions?limit=1"; ; {
		page := w.do("GET", path, nil, first.cookie).is(http.StatusOK)
		walked = append(walked, page.ids()...)
		if page.json["has_more"] != true {
			break
		}
		cursor := "cursor=" + page.string("next_cursor")
		w.do("GET", "/api/sessions?"+cursor, nil, stranger.cookie).problem(http.StatusBadRequest,
			"invalid-cursor")
		path = "/api/sessions?limit=1&" + cursor
	}
	if !slices.Equal(walked, list.ids()) {
		t.Errorf("page by page it lists %q, want %q", walked, list.ids())
	}

	for _, id := range []string{one.ID, "ses_x", controlplane.NewID(controlplane.PrefixSession)} {
		w.do("DELETE", "/api/sessions/"+id, nil, stranger.cookie).problem(http.StatusNotFound,
			"not-found")
	}
	w.do("DELETE", "/api/sessions/"+three.ID, nil, first.cookie,
		header("Sec-Fetch-Site", "cross-site")).problem(http.StatusForbidden, "cross-origin")
	f := w.follow("", "", third.cookie)
	w.do("DELETE", "/api/sessions/"+three.ID, nil, first.cookie).is(http.StatusNoContent)
	f.ends()
	w.do("GET", "/api/domains", nil, third.cookie).problem(http.StatusUnauthorized, "session-ended")
	w.do("DELETE", "/api/sessions/"+three.ID, nil, first.cookie).problem(http.StatusNotFound,
		"not-found")
	if n := w.count(
		`SELECT count(*) FROM audit_logs WHERE entity_id = $1 AND action = 'session.ended' AND actor_id = $2`, three.ID, one.User.ID); n != 1 {
		t.Errorf("the end of a session is %d times in the log, want once", n)
	}

	if got := w.do("POST", "/api/sessions/end-all", map[string]any{"keep_current": true},
		first.cookie).is(http.StatusOK).json["ended"]; got != 1.0 {
		t.Errorf("end-all ended %v, want 1", got)
	}
	w.do("GET", "/api/domains", nil, second.cookie).problem(http.StatusUnauthorized,
		"session-ended")
	w.do("GET", "/api/domains", nil, first.cookie).is(http.StatusOK)
	if got := w.do("POST", "/api/sessions/end-all", map[string]any{},
		first.cookie).is(http.StatusOK).json["ended"]; got != 1.0 {
		t.Errorf("end-all ended %v, want the current one", got)
	}
	w.do("GET", "/api/domains", nil, first.cookie).problem(http.StatusUnauthorized, "session-ended")
	w.do("GET", "/api/domains", nil, stranger.cookie).is(http.StatusOK)
}

func TestCreateOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := person{cookie: w.signIn(account())}
	body := map[string]any{"name": " Another  Ltd "}
	key := header("Idempotency-Key", "create-1")
	created := w.do("POST", "/api/organizations", body, first.cookie, key).is(http.StatusCreated)
	if created.json["tier"] != "free" || created.json["name"] != "Another  Ltd" {
		t.Errorf("organization = %v, want one with the name on the free plan", created.json)
	}
	again := w.do("POST", "/api/organizations", body, first.cookie, key).is(http.StatusCreated)
	if again.json["id"] != created.json["id"] {
		t.Errorf("a repeated call created %v", again.json)
	}
	// The session stays in its organization.
	if got := w.do("GET", "/api/organization", nil, first.cookie).is(http.StatusOK); got.json["id"] ==
		created.json["id"] {
		t.Error("the session has moved to the new organization")
	}
	w.do("POST", "/api/organizations", map[string]any{"name": " "}, first.cookie).problem(
		http.StatusUnprocessableEntity, "name-invalid")
	for range 3 {
		w.do("POST", "/api/organizations", body, first.cookie).is(http.StatusCreated)
	}
	w.do("POST", "/api/organizations", body, first.cookie).problem(http.StatusForbidden,
		"organization-limit")
}

// Operations for signed-in users reject tokens with every scope.
func TestSessionOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.newEstate(w.org, "session-only.example.com")
	w.do("GET", "/api/domains", nil).is(http.StatusOK) // records the token's use
	before, n := w.rows(w.org), 0
	for _, op := range w.secured() {
		if op.session {
			n++
			path, body := op.request(e)
			w.do(op.method, path, body).problem(http.StatusForbidden, "session-required")
		}
	}
	if n < 3 {
		t.Errorf("%d operations take a session alone, want at least those of sessions", n)
	}
	if w.rows(w.org) != before {
		t.Error("a row was touched")
	}
}
