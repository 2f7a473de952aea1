package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// signInAgain starts a new session in the same browser.
func (s *site) signInAgain(account controlplane.GitHubAccount) {
	s.t.Helper()
	_, secret, err := s.life.SignIn(s.t.Context(), controlplane.Actor{}, "test", account)
	s.must(err)
	u, err := url.Parse(s.server.URL)
	s.must(err)
	s.visitor.Jar.SetCookies(u, []*http.Cookie{{Name: "dcvaas_session", Value: secret}})
}

// endSessions ends all sessions of the account, as an expiry does.
func (s *site) endSessions(account controlplane.GitHubAccount) {
	s.t.Helper()
	s.exec(`DELETE FROM sessions WHERE user_id = (SELECT id FROM users WHERE github_id = $1)`,
		account.ID)
}

// nextAfterSignIn returns the page that the login page redirects to.
func (a response) nextAfterSignIn() string {
	a.t.Helper()
	u, err := url.Parse(a.toSignIn().header.Get("Location"))
	if err != nil {
		a.t.Fatal(err)
	}
	return u.Query().Get("next")
}

// A session ends while a form is open, for every form: nothing is changed, and after the sign-in
// the form has its input again, except passwords and confirmations, and can be submitted.
func TestFormsSurviveTheirSession(t *testing.T) {
	s := newSite(t, withSealer(t))
	for route, c := range formCases {
		if route == "/logout" { // signs out in any case
			continue
		}
		if route == joinPath {
			continue // the page offers to sign in
		}
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			p := s.withT(t).newTenant("lost")
			action, page := c.at(p, route)
			input := c.input(p)
			values := p.owner.get(page).want(http.StatusOK).formAt(action).with(input)
			p.owner.endSessions(p.account)
			before := postgrestest.RowsOf(t, s.dsn, p.org.ID)
			back := p.owner.post(action, values).nextAfterSignIn()
			delete(before, "idempotency_keys")
			after := postgrestest.RowsOf(t, s.dsn, p.org.ID)
			delete(after, "idempotency_keys")
			if diff := after.Diff(before); diff != "" {
				t.Fatalf("a form without a session changed rows:\n%s", diff)
			}
			p.owner.endSessions(p.account)
			p.owner.signInAgain(p.account)
			switch route { // the session of the new sign-in is not the one of the list
			case sessionsPath + "/{session}/end":
				p.owner.get(back).want(http.StatusOK, "The form is no longer on this page")
				return
			case sessionsPath + "/end-others":
				p.owner.signedInAs(p.account)
			}
			again := p.owner.get(back).want(http.StatusOK, "You were signed out before this form").
				formAt(action)
			for name, want := range input {
				if slices.Contains(unkept, name) {
					want = []string{""}
				}
				if got := again.values[name]; !slices.Equal(got, want) {
					t.Errorf("field %s = %q after the sign-in, want %q", name, got, want)
				}
			}
			p.owner.post(action, again.with(input)).want(http.StatusSeeOther)
		})
	}
}

// The input of a form is shown only in its browser, to its user, and for an hour, and is stored
// sealed. Passwords are not stored.
func TestKeptInputIsPrivate(t *testing.T) {
	s := newSite(t, withSealer(t))
	p := s.newTenant("private")
	values := p.owner.get(tokensURL + "/new").formAt(tokensURL).with(url.Values{
		"name": {"hush-hush"}, "password": {"pa55word"}, "confirm": {"yes-really"}})
	p.owner.endSessions(p.account)
	a := p.owner.post(tokensURL, values)
	back := a.nextAfterSignIn()
	for _, c := range a.header["Set-Cookie"] {
		if strings.Contains(c, "hush-hush") {
			t.Errorf("Set-Cookie = %s, want no input", c)
		}
	}
	if n := s.queryText(`SELECT count(*)::text FROM idempotency_keys
		WHERE position('hush'::bytea in body) > 0 OR row(idempotency_keys.*)::text LIKE '%hush%'`); n != "0" {
		t.Errorf("%s rows have the input in clear text", n)
	}
	elsewhere := s.signedInAs(p.account)
	gone := "Your input is no longer available"
	elsewhere.get(back).want(http.StatusOK, gone).hasNot("hush-hush")
	other, _ := s.visitorAs(p.org, controlplane.RoleOwner)
	p.owner.signInAgain(p.account)
	u, err := url.Parse(s.server.URL)
	s.must(err)
	for _, c := range p.owner.visitor.Jar.Cookies(u) {
		if c.Name == "dcvaas_input" {
			other.visitor.Jar.SetCookies(u, []*http.Cookie{c})
		}
	}
	other.get(back).want(http.StatusOK, gone).hasNot("hush-hush")
	p.owner.get(back).want(http.StatusOK).has(`value="hush-hush"`).hasNot("pa55word", "yes-really")
	p.owner.get(tokensURL+"/new?input=org_x.y").want(http.StatusOK, gone)
	s.advance(inputLife)
	p.owner.get(back).want(http.StatusOK, gone).hasNot("hush-hush")
}

// A form of an organization that another tab has left is not executed in the new one.
func TestFormOfAnotherOrganization(t *testing.T) {
	s := newSite(t, withSealer(t))
	p := s.newTenant("first")
	other := s.newOrg("Second Ltd")
	s.addMember(other, p.account, controlplane.RoleOwner)
	values := p.owner.get("/domains").formAt("/domains").with(url.Values{
		"name": {"mine.example.com"}})
	p.owner.post(switchURL(other.ID), nil).to("/domains")
	before := postgrestest.RowsOf(t, s.dsn, other.ID)
	page := p.owner.follow(p.owner.post("/domains", values)).want(http.StatusConflict,
		"belongs to first Incorporated", "you are now in Second Ltd")
	if diff := postgrestest.RowsOf(t, s.dsn, other.ID).Diff(before); diff != "" {
		t.Errorf("the form changed rows of the other organization:\n%s", diff)
	}
	back := page.formAt(switchURL(p.org.ID))
	again := p.owner.follow(p.owner.post(back.action, back.values)).want(http.StatusOK,
		"You had switched to another organization").formAt("/domains")
	if got := again.values.Get("name"); got != "mine.example.com" {
		t.Errorf("name = %q, want the input", got)
	}
	p.owner.post("/domains", again.values).want(http.StatusSeeOther)

	// After the end of the membership there is nothing to switch to.
	form := p.owner.get("/domains").formAt("/domains").with(url.Values{"name": {"x.example.com"}})
	p.owner.post(switchURL(other.ID), nil).to("/domains")
	s.addMember(p.org, controlplane.GitHubAccount{ID: 8, Login: "heir"}, controlplane.RoleOwner)
	s.must(s.life.RemoveMember(t.Context(), controlplane.System("test"), nil, p.org.ID,
		p.account.Login, false))
	p.owner.follow(p.owner.post("/domains", form)).want(http.StatusNotFound, "no longer a member")
	s.exec(`DELETE FROM organizations WHERE id = $1`, p.org.ID)
	p.owner.post("/domains", form).want(http.StatusNotFound, "was deleted")
}

// A key is valid for its user and its action. A form whose key was used with other input is shown
// again. A form without a key works.
func TestFormKeys(t *testing.T) {
	s := newSignedIn(t)
	form := s.get("/domains").formAt("/domains")
	first := form.with(url.Values{"name": {"a.example.com"}})
	to := s.post("/domains", first).want(http.StatusSeeOther).header.Get("Location")
	again := s.follow(s.post("/domains", form.with(url.Values{"name": {"b.example.com"}}))).
		want(http.StatusOK, "already been submitted, with other input").formAt("/domains")
	if got := again.values.Get("name"); got != "b.example.com" {
		t.Errorf("name = %q, want b.example.com", got)
	}
	s.post("/domains", first).to(to)
	s.post("/domains", again.values).want(http.StatusSeeOther)

	// An invalid submission does not use the key.
	form = s.get("/domains").formAt("/domains")
	s.post("/domains", form.with(url.Values{"name": {"bad name"}})).want(
		http.StatusUnprocessableEntity)
	s.post("/domains", form.with(url.Values{"name": {"c.example.com"}})).want(http.StatusSeeOther)

	s.addMember(s.org, anAdmin, controlplane.RoleAdmin)
	s.signedInAs(anAdmin).post("/domains", s.get("/domains").formAt("/domains").with(url.Values{
		"name": {"d.example.com"}})).want(http.StatusConflict, "Another account opened this form")
	for _, key := range []string{"", "x", "a.b.c.d", form.values.Get(formKeyField) + "x"} {
		s.post("/domains", url.Values{"name": {controlplane.NewID("k")[2:] + ".example.com"},
			formKeyField: {key}}).want(http.StatusSeeOther)
	}
	if n := s.queryText(`SELECT count(*)::text FROM domains`); n != "7" {
		t.Errorf("%s domains, want 7", n)
	}
}

// A repeated submission waits for the first one, which is slow. It does not wait forever.
func TestRepeatedSubmissionWaits(t *testing.T) {
	s := newSignedIn(t)
	form := s.get("/domains").formAt("/domains").with(url.Values{"name": {"slow.example.com"}})
	lock := s.connect()
	defer func() { _ = lock.Close(t.Context()) }()
	tx, err := lock.Begin(t.Context())
	s.must(err)
	_, err = tx.Exec(t.Context(), `LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE`)
	s.must(err)
	first := make(chan response, 1)
	go func() { first <- s.post("/domains", form) }()
	for s.queryText(`SELECT count(*)::text FROM pg_stat_activity
		WHERE wait_event_type = 'Lock' AND datname = current_database()`) == "0" {
		time.Sleep(5 * time.Millisecond)
	}
	s.dash.patience = 0
	s.post("/domains", form).want(http.StatusConflict, "still in progress", "Reload this page")
	s.dash.patience = submitPatience
	second := make(chan response, 1)
	go func() { second <- s.post("/domains", form) }()
	s.must(tx.Rollback(t.Context()))
	one, two := <-first, <-second
	two.to(one.want(http.StatusSeeOther).header.Get("Location"))
	if n := s.queryText(`SELECT count(*)::text FROM domains`); n != "1" {
		t.Errorf("%s domains, want 1", n)
	}
}

// A new secret is shown once, to its user, by a request that shows the page. It is stored sealed
// and then erased.
func TestSecretsAreShownOnce(t *testing.T) {
	s := newSite(t, withSealer(t))
	p := s.newTenant("secrets")
	other, _ := s.visitorAs(p.org, controlplane.RoleOwner)
	const unread = `SELECT count(*)::text FROM idempotency_keys
		WHERE key LIKE 'secret %' AND length(body) > 0`
	before := s.queryText(unread) // of the tenant
	for path, form := range map[string]url.Values{
		tokensURL:                            {"name": {"t"}, "scope": {"domains:read"}, "end": {"never"}},
		tokenURL(p.token.ID) + "/rotate":     {"overlap": {"1h"}},
		membersPath:                          {"role": {"member"}, "days": {"2"}},
		"/webhooks":                          {"url": {"https://once.example.com/"}, "all": {"1"}},
		"/webhooks/" + p.webhook + "/rotate": {},
		acmeClientsPath:                      {},
		accountURL(p.acme) + "/rotate":       {},
		registrationKeysPath:                 {"name": {"servers"}},
	} {
		a := p.owner.post(path, form).want(http.StatusSeeOther)
		page := a.header.Get("Location")
		if a.body != "" && strings.Contains(a.body, "dcv_") {
			t.Errorf("POST %s: the response has the secret", path)
		}
		p.owner.do(http.MethodHead, page, nil).want(http.StatusOK)
		p.owner.get(page, "Sec-Purpose", "prefetch;prerender").want(http.StatusServiceUnavailable)
		p.owner.get(page, "Purpose", "prefetch").want(http.StatusServiceUnavailable)
		p.owner.get(page, "Sec-Fetch-Mode", "no-cors").want(http.StatusServiceUnavailable)
		other.get(page).want(http.StatusGone).hasNot(`id="secret"`)
		shown := p.owner.get(page, "Sec-Fetch-Mode", "navigate").want(http.StatusOK).
			has(`id="secret"`, "data-secret")
		if got := shown.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control = %q, want no-store", page, got)
		}
		p.owner.get(page).want(http.StatusGone, "was shown once").hasNot(`id="secret"`)
	}
	if n := s.queryText(unread); n != before {
		t.Errorf("%s secrets are stored after all were shown, want %s", n, before)
	}
	page := p.owner.post(tokensURL, url.Values{"name": {"late"}, "scope": {"domains:read"},
		"end": {"never"}}).header.Get("Location")
	s.advance(secretLife)
	p.owner.get(page).want(http.StatusGone)
}

// staleCase is a form that edits an object.
type staleCase struct {
	action string
	// theirs and mine are what two tabs save; mine is shown next to theirs.
	theirs, mine url.Values
	current      func() string // the stored value
	want, wins   string        // the stored value after theirs, and after mine
}

// Of two tabs, the later one does not undo the earlier one: it shows both values and who saved
// the other.
func TestStaleForms(t *testing.T) {
	s := newSite(t, withSealer(t))
	p := s.newTenant("stale")
	one := func(sql string, args ...any) func() string {
		return func() string { return s.queryText(sql, args...) }
	}
	for name, c := range map[string]staleCase{
		"organization": {organizationPath, url.Values{"name": {"Theirs"}},
			url.Values{"name": {"Mine"}},
			one(`SELECT name FROM organizations WHERE id = $1`, p.org.ID), "Theirs", "Mine"},
		"token": {tokenURL(p.token.ID) + "/rename", url.Values{"name": {"theirs"}},
			url.Values{"name": {"mine"}},
			one(`SELECT name FROM api_tokens WHERE id = $1`, p.token.ID), "theirs", "mine"},
		"member": {memberURL(p.member.User.ID) + "/role", url.Values{"role": {"admin"}},
			url.Values{"role": {"owner"}},
			one(`SELECT role FROM organization_members WHERE org_id = $1 AND user_id = $2`, p.org.ID,
				p.member.User.ID), "admin", "owner"},
		"connection": {connectionURL(p.connection), url.Values{"name": {"theirs"}},
			url.Values{"name": {"mine"}},
			one(`SELECT name FROM dns_connections WHERE id = $1`, p.connection), "theirs", "mine"},
		"acme-dns account": {accountURL(p.acme), url.Values{"description": {"theirs"}},
			url.Values{"description": {"mine"}},
			one(`SELECT description FROM acmedns_accounts WHERE id = $1`, p.acme), "theirs",
			"mine"},
		"webhook": {"/webhooks/" + p.webhook, url.Values{"description": {"theirs"}},
			url.Values{"description": {"mine"}},
			one(`SELECT description FROM webhooks WHERE id = $1`, p.webhook), "theirs", "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			owner := p.owner.withT(t)
			page := c.action
			for _, suffix := range []string{"/rename", "/role"} {
				page = strings.TrimSuffix(page, suffix)
			}
			tabs := [2]formOn{owner.get(page).formAt(c.action), owner.get(page).formAt(c.action)}
			owner.post(c.action, tabs[0].with(c.theirs)).want(http.StatusSeeOther)
			a := owner.post(c.action, tabs[1].with(c.mine)).want(http.StatusPreconditionFailed,
				"Changed in the meantime", c.want, c.wins, p.account.Login+" saved them",
				"Save your values", "Keep the current values")
			if got := c.current(); got != c.want {
				t.Errorf("stored value = %q after a stale save, want %q", got, c.want)
			}
			owner.post(c.action, a.formAt(c.action).values).want(http.StatusSeeOther)
			if got := c.current(); got != c.wins {
				t.Errorf("stored value = %q after the choice, want %q", got, c.wins)
			}
			// The same value again changes nothing, and a form without a version saves.
			owner.post(c.action, tabs[0].with(c.mine)).want(http.StatusSeeOther)
			unversioned := tabs[0].with(c.theirs)
			unversioned.Del(versionField)
			unversioned.Del(formKeyField)
			owner.post(c.action, unversioned).want(http.StatusSeeOther)
			if got := c.current(); got != c.want {
				t.Errorf("stored value = %q after a save without a version, want %q", got, c.want)
			}
		})
	}
}
