package dashboard

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// downloads has the input of each form that downloads a private key.
var downloads = map[string]func(tenant) url.Values{
	certificatePath + "/key":    keyFields(""),
	certificatePath + "/pkcs12": keyFields("hunter2"),
}

// signIns has the routes of the forms that sign in.
var signIns = []string{"/login", joinPath + "/github"}

// Every form that is executed each time is a download or a sign-in, so the tests below have it.
func TestAlwaysExecutedForms(t *testing.T) {
	s := newSite(t)
	var got []string
	for _, f := range s.dash.forms() {
		if f.always {
			got = append(got, f.path)
		}
	}
	want := slices.Concat(slices.Collect(maps.Keys(downloads)), signIns)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("forms that are executed each time = %q, want %q", got, want)
	}
}

// A repeated download returns the same key, is recorded again, and changes nothing else.
func TestDownloadsAreRepeatable(t *testing.T) {
	s := newSite(t, withSealer(t))
	for route, input := range downloads {
		p := s.newTenant("downloads")
		action, input := p.path(route), input(p)
		s.exec(`DELETE FROM webhooks WHERE org_id = $1`, p.org.ID) // they get each recorded event
		p.owner.post(action, input).want(http.StatusOK)
		rows, before := postgrestest.RowsOf(t, s.dsn, p.org.ID), s.actionsOf(p)
		first := p.owner.post(action, input).want(http.StatusOK)
		second := p.owner.post(action, input).want(http.StatusOK)
		if block, _ := pem.Decode([]byte(first.body)); block != nil && first.body != second.body {
			t.Errorf("%s: two downloads of one key differ", route)
		}
		if got := newActions(before, s.actionsOf(p)); len(got) != 1 ||
			got[controlplane.ActionKeyDownloaded] != 2 {
			t.Errorf("%s: two downloads recorded %v, want each", route, got)
		}
		after := postgrestest.RowsOf(t, s.dsn, p.org.ID)
		for table := range after {
			if strings.HasPrefix(table, "audit_logs") {
				after[table] = rows[table]
			}
		}
		if diff := after.Diff(rows); diff != "" {
			t.Errorf("%s: repeated downloads changed rows:\n%s", route, diff)
		}
	}
}

// A repeated sign-in ends the browser's previous session. A repeated start of a sign-in at GitHub
// leaves one that can be finished, and it is finished once.
func TestSignInsAreRepeatable(t *testing.T) {
	s, _ := newGitHubSite(t, func(c *Config) { c.DevSignIn = &developer })
	b := s.newVisitor()
	for range 3 {
		b.post("/login", nil).to("/domains")
	}
	if n := s.queryText(`SELECT count(*)::text FROM sessions`); n != "1" {
		t.Errorf("%s sessions after three sign-ins of a browser, want 1", n)
	}
	link := s.invite(controlplane.RoleMember)
	carol := s.newVisitor()
	first, second := carol.startJoin(link), carol.startJoin(link)
	back := carol.authorizeAtGitHub(second, "&login=carol")
	carol.get(back).to("/domains")
	for _, again := range []string{back, carol.authorizeAtGitHub(first, "&login=carol")} {
		if a := carol.get(again); a.status == http.StatusOK {
			t.Errorf("a sign-in that was finished before: status %d, want an error or a redirect", a.status)
		}
	}
	if n := s.queryText(`SELECT count(*)::text FROM sessions WHERE user_id =
		(SELECT id FROM users WHERE login = 'carol')`); n != "1" {
		t.Errorf("%s sessions of carol, want 1", n)
	}
}

// On a slow server, a double click submits a download or a sign-in once, and its button shows the
// progress. Reloading the page, and going back, submit nothing. The button of a download is then
// ready for another one.
func TestBrowserAlwaysExecutedForms(t *testing.T) {
	s, github := newGitHubSite(t, withSealer(t),
		func(c *Config) { c.DevSignIn = &developer })
	g := newGate(s)
	b := s.open(1000, 800, false, true)
	b.run(browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorDeny))
	press := func(action string, input url.Values) {
		at, _ := json.Marshal(action)
		fill, _ := json.Marshal(input)
		if got := b.js(fmt.Sprintf(pressTwice, at, fill)); got != "true true" {
			t.Errorf("%s: aria-busy and announcement = %s, want true true", action, got)
		}
	}
	for _, route := range slices.Sorted(maps.Keys(downloads)) {
		p := s.newTenant("browser")
		b.signInBrowser(p.owner)
		b.run(goTo(s.server.URL+p.path(certificatePath+"/key")), visible(`main`))
		before := s.actionsOf(p)
		release := g.hold()
		press(p.path(route), downloads[route](p))
		release()
		b.run(chromedp.Poll(`!document.querySelector("[aria-busy]")`, nil))
		b.leave(func() { b.js(`location.reload()`) })
		if n, got := g.count(), newActions(before, s.actionsOf(p)); n != 1 || len(got) != 1 ||
			got[controlplane.ActionKeyDownloaded] != 1 {
			t.Errorf("%s: %d submissions, which recorded %v, want one", route, n, got)
		}
	}
	b.signInWithDoubleClick(g, press)
	b.joinWithDoubleClick(g, github, press)
}

// signInWithDoubleClick signs in as the developer.
func (t *tab) signInWithDoubleClick(g *gate, press func(action string, input url.Values)) {
	t.t.Helper()
	t.run(network.ClearBrowserCookies(), goTo(t.server.URL+"/login"), visible(`main button`))
	sessions := func() string { return t.queryText(`SELECT count(*)::text FROM sessions`) }
	t.exec(`DELETE FROM sessions`)
	release := g.hold()
	t.leave(func() {
		press("/login", url.Values{})
		release()
	})
	t.leave(func() { t.js(`location.reload()`) })
	t.leave(func() { t.js(`history.back()`) })
	if n, m := g.count(), sessions(); n != 1 || m != "1" {
		t.t.Errorf("/login: %d submissions and %s sessions, want one", n, m)
	}
}

// joinWithDoubleClick starts to accept an invitation at GitHub.
func (t *tab) joinWithDoubleClick(
	g *gate, github *devstack.GitHub, press func(action string, input url.Values),
) {
	t.t.Helper()
	link := t.invite(controlplane.RoleMember)
	t.run(network.ClearBrowserCookies(), goTo(t.server.URL+link), visible(`form[action$="/github"] button`))
	release := g.hold()
	press(link+"/github", url.Values{})
	release()
	t.run(visible(`input[name="login"]`))
	var at string
	t.run(chromedp.Location(&at))
	if n := g.count(); n != 1 || !strings.HasPrefix(at, github.URL()) {
		t.t.Errorf("%s/github: %d submissions, then %s, want one, then GitHub", joinPath, n, at)
	}
}
