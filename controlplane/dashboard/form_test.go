package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// formCase is a form with valid input.
type formCase struct {
	page string // path of the page that shows it; default: its own path
	// form has the values of the fields that are not set on the page.
	form func(tenant) url.Values
}

// formCases has each route that accepts forms from signed-in users, except downloads.
var formCases = map[string]formCase{
	"/logout":                               {page: "/domains"},
	"/organizations/{organization}/switch":  {page: "/organizations"},
	invitedPath + "/{organization}/accept":  {page: invitedPath},
	invitedPath + "/{organization}/decline": {page: invitedPath},
	joinPath:                                {},
	"/domains":                              {form: newName},
	"/organizations":                        {page: "/organizations", form: fields("name", "Another Ltd")},
	domainPath + "/settings": {page: domainPath + "/settings",
		form: fields("key_type", "ec384", "auto_renew", "1", "labels", "team=web")},
	domainPath + "/delete": {page: domainPath + "/settings",
		form: func(p tenant) url.Values { return url.Values{"confirm": {p.domain.Name}} }},
	selectionPath + "/check":                    {page: selectionPath},
	selectionPath + "/renew":                    {page: selectionPath},
	selectionPath + "/labels":                   {page: selectionPath, form: fields("set", "team=web")},
	selectionPath + "/delete":                   {page: selectionPath, form: fields("confirm", "1")},
	domainPath + "/names":                       {page: domainPath, form: fields("names", "www.example.net")},
	domainPath + "/check":                       {page: domainPath},
	domainPath + "/issue":                       {page: domainPath},
	domainPath + "/renew":                       {page: domainPath},
	"/jobs/{job}/retry":                         {page: "/jobs"},
	certificatePath + "/revoke":                 {form: revocation},
	organizationPath:                            {form: fields("name", "Renamed")},
	deleteOrganizationPath:                      {page: organizationPath, form: orgName},
	organizationPath + "/leave":                 {page: organizationPath},
	membersPath:                                 {form: fields("role", "admin", "days", "3")},
	memberPath + "/role":                        {page: memberPath, form: fields("role", "admin")},
	memberPath + "/transfer":                    {page: memberPath, form: memberLogin},
	memberPath + "/remove":                      {page: memberPath},
	"/settings/invitations/{invitation}/revoke": {page: membersPath},
	tokensURL: {page: tokensURL + "/new",
		form: fields("name", "new", "scope", "domains:read", "end", "90d")},
	tokensURL + "/revoke-all":        {page: tokensURL, form: fields("confirm", revokeAllText)},
	tokenPath + "/rename":            {page: tokenPath, form: fields("name", "renamed")},
	tokenPath + "/rotate":            {page: tokenPath, form: fields("overlap", "1h")},
	tokenPath + "/revoke-previous":   {page: tokenPath},
	tokenPath + "/revoke":            {page: tokenPath},
	sessionsPath + "/end-others":     {page: sessionsPath},
	sessionsPath + "/{session}/end":  {page: sessionsPath},
	domainDNSPath:                    {form: func(p tenant) url.Values { return url.Values{"plan": {p.plan()}} }},
	domainDNSPath + "/leave":         {page: domainPath},
	connectionsPath:                  {form: newCredentials},
	connectionPath:                   {form: fields("name", "renamed")},
	connectionPath + "/test":         {page: connectionPath},
	connectionPath + "/credentials":  {page: connectionPath, form: otherCredentials},
	connectionPath + "/delete":       {page: connectionPath},
	acmeClientsPath:                  {form: newAccount},
	accountPath:                      {form: newAccount},
	accountPath + "/attach":          {page: accountPath, form: delegationName},
	accountPath + "/detach":          {page: accountPath},
	accountPath + "/rotate":          {page: accountPath},
	accountPath + "/delete":          {page: accountPath},
	registrationKeysPath:             {page: acmeClientsPath, form: fields("name", "new")},
	registrationKeyPath + "/revoke":  {page: acmeClientsPath},
	"/webhooks":                      {form: fields("url", "https://example.com/new", "all", "1")},
	webhookPath:                      {form: fields("url", "https://example.com/changed", "all", "1")},
	webhookPath + "/rotate":          {page: webhookPath},
	webhookPath + "/revoke-previous": {page: webhookPath},
	webhookPath + "/delete":          {page: webhookPath},
	webhookPath + "/test":            {page: webhookPath},
	webhookPath + "/redeliver":       {page: webhookPath, form: lastHour},
	deliveryPath + "/redeliver":      {page: deliveryPath},
}

func revocation(p tenant) url.Values {
	return url.Values{"reason": {"superseded"}, "name": {p.domain.Name}}
}

func orgName(p tenant) url.Values { return url.Values{"confirm": {p.org.Name}} }

func memberLogin(p tenant) url.Values { return url.Values{"confirm": {p.member.User.Title()}} }

func delegationName(p tenant) url.Values { return url.Values{"delegation": {p.domain.Name}} }

func lastHour(tenant) url.Values {
	return url.Values{"since": {time.Now().Add(-time.Hour).UTC().Format(minute)}}
}

// at returns the path of the form and of its page, with objects in the state that the form needs.
func (c formCase) at(p tenant, route string) (action, page string) {
	s := p.owner
	page = c.page
	if page == "" {
		page = route
	}
	action = p.path(route)
	switch {
	case strings.HasPrefix(route, "/organizations/"):
		other := s.newOrg("Another Ltd")
		s.addMember(other, p.account, controlplane.RoleMember)
		action = strings.ReplaceAll(route, "{organization}", other.ID)
	case strings.HasPrefix(route, invitedPath+"/{organization}"):
		other := s.newOrg("Inviting Ltd")
		_, err := s.life.InviteMember(s.t.Context(), controlplane.System("test"), nil, other.ID,
			p.account, controlplane.RoleMember)
		s.must(err)
		action = strings.ReplaceAll(route, "{organization}", other.ID)
	case route == joinPath:
		_, secret, err := s.life.CreateInvitation(s.t.Context(), controlplane.System("test"), nil,
			s.newOrg("Inviting Ltd").ID, controlplane.RoleMember, day)
		s.must(err)
		action = controlplane.InvitationPath(secret)
		return action, action
	case route == organizationPath+"/leave":
		s.addMember(p.org, controlplane.GitHubAccount{ID: 7, Login: "heir"}, controlplane.RoleOwner)
	case route == domainPath+"/issue": // only a domain without a certificate has the button
		page = domainURL(s.add(p.org, "new."+p.domain.Name).ID)
		return page + "/issue", page
	case route == domainPath+"/renew", route == selectionPath+"/renew":
		s.change(p.domain, func(d *controlplane.Domain) {
			issued := time.Now().Add(-48 * time.Hour)
			d.LastIssuedAt = &issued
		})
	case route == tokenPath+"/revoke-previous":
		_, _, err := s.life.RotateToken(s.t.Context(), controlplane.System("test"), nil, p.org.ID,
			p.token.ID, lifecycle.Rotation{Overlap: time.Hour})
		s.must(err)
	case route == webhookPath+"/revoke-previous":
		_, _, err := s.life.RotateWebhookSecret(s.t.Context(), controlplane.System("test"),
			p.org.ID, p.webhook)
		s.must(err)
	case route == domainDNSPath+"/leave": // only a domain with a connection has the button
		_, err := s.life.UpdateDomain(s.t.Context(), controlplane.System("test"), p.org.ID,
			p.domain.ID, 0, lifecycle.DomainPatch{ConnectionID: &p.connection})
		s.must(err)
	case route == accountPath+"/detach": // only an attached account has the button
		s.attach(p.org, p.acme, p.domain.Name)
	case route == deliveryPath+"/redeliver":
		s.exec(`UPDATE webhook_deliveries SET status = 'failed' WHERE org_id = $1`, p.org.ID)
	case strings.HasPrefix(route, sessionsPath+"/{session}"):
		second := s.signedInAs(p.account)
		action = sessionsPath + "/" + second.sessionOf(second).ID + "/end"
	case route == sessionsPath+"/end-others":
		s.signedInAs(p.account)
	}
	return action, p.path(page)
}

// formOn is a form on a page, as a browser submits it.
type formOn struct {
	action string
	values url.Values
}

// formAt returns the form with the action on a page.
func (a response) formAt(action string) formOn {
	a.t.Helper()
	doc, err := html.Parse(strings.NewReader(a.body))
	if err != nil {
		a.t.Fatal(err)
	}
	form := find(doc, func(n *html.Node) bool {
		return n.DataAtom == atom.Form && attr(n, "method") == "post" && attr(n, "action") == action
	})
	if form == nil {
		a.t.Fatalf("the page has no form with the action %s:\n%s", action, a.text)
	}
	f := formOn{action: action, values: url.Values{}}
	for n := range form.Descendants() {
		name := attr(n, "name")
		switch {
		case n.DataAtom == atom.Input && (attr(n, "type") == "checkbox" ||
			attr(n, "type") == "radio"):
			if hasAttr(n, "checked") {
				f.values.Add(name, attr(n, "value"))
			}
		case n.DataAtom == atom.Input:
			f.values.Add(name, attr(n, "value"))
		case n.DataAtom == atom.Textarea:
			f.values.Add(name, textOf(n))
		case n.DataAtom == atom.Option && hasAttr(n, "selected"):
			f.values.Add(attr(n.Parent, "name"), attr(n, "value"))
		}
	}
	return f
}

func hasAttr(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func textOf(n *html.Node) string {
	if n.FirstChild == nil {
		return ""
	}
	return n.FirstChild.Data
}

// with returns the form's values with the input of a user.
func (f formOn) with(input url.Values) url.Values {
	all := url.Values{}
	for _, some := range []url.Values{f.values, input} {
		for name, values := range some {
			all[name] = values
		}
	}
	return all
}

func (c formCase) input(p tenant) url.Values {
	if c.form == nil {
		return nil
	}
	return c.form(p)
}

// Every form is in formCases, and every form on a page has a key.
func TestFormCasesAreComplete(t *testing.T) {
	s := newSite(t, withSealer(t))
	for _, f := range s.dash.forms() {
		if _, ok := formCases[f.path]; !ok && !f.always {
			t.Errorf("%s accepts a form but is not in formCases: add how to submit it", f.path)
		}
	}
	for path := range formCases {
		if !slices.ContainsFunc(s.dash.forms(),
			func(f formRoute) bool { return f.path == path && !f.always }) {
			t.Errorf("formCases has %s, want only routes of forms", path)
		}
	}
}

// A form that is submitted twice, one after the other and at once, is executed once, and both
// submissions get the same response. The form in another tab then does not fail.
func TestFormsAreExecutedOnce(t *testing.T) {
	s := newSite(t, withSealer(t))
	t.Run("walk", func(t *testing.T) {
		for route, c := range formCases {
			t.Run(route, func(t *testing.T) {
				t.Parallel()
				p := s.withT(t).newTenant("forms")
				action, page := c.at(p, route)
				values := p.owner.get(page).want(http.StatusOK).formAt(action).with(c.input(p))
				if values.Get(formKeyField) == "" {
					t.Fatalf("the form %s on %s has no key", action, page)
				}
				second := p.owner.get(page).formAt(action).with(c.input(p)) // in another tab
				twins := [3]*site{p.owner.twin(), p.owner.twin(), p.owner.twin()}
				before := s.actionsOf(p)
				var all sync.WaitGroup
				var got [3]response
				for i := range 2 {
					all.Go(func() { got[i] = twins[i].post(action, values) })
				}
				all.Wait()
				rows, after := postgrestest.RowsOf(t, s.dsn, p.org.ID), s.actionsOf(p)
				got[2] = twins[2].post(action, values)
				for i, a := range got {
					if a.status != http.StatusSeeOther {
						t.Fatalf("submission %d: status %d, want 303: %.400s", i, a.status, a.text)
					}
					if to, want := a.header.Get("Location"), got[0].header.Get("Location"); to != want {
						t.Errorf("submission %d: Location %q, want %q", i, to, want)
					}
				}
				if diff := postgrestest.RowsOf(t, s.dsn, p.org.ID).Diff(rows); diff != "" {
					t.Errorf("the third submission changed rows:\n%s", diff)
				}
				if again := s.actionsOf(p); !slices.Equal(again, after) {
					t.Errorf("audit log = %v, then %v", after, again)
				}
				if a := twins[2].post(action, second); a.status >= 500 {
					t.Errorf("the form in another tab: status %d: %.400s", a.status, a.text)
				}
				for action, n := range newActions(before, after) {
					if n > recordedBy(route) {
						t.Errorf("%s was recorded %d times, want once", action, n)
					}
				}
			})
		}
	})
	if n := s.queryText(`SELECT count(*)::text FROM idempotency_keys WHERE headers::text ~ 'dcvaas_session=[A-Za-z0-9_-]'
		OR path ~ '^/invitations/[A-Za-z0-9_-]{20}'`); n != "0" {
		t.Errorf("%s stored responses have the secret of a session or an invitation", n)
	}
}

// twin returns the site with the same session and its own connections.
func (s *site) twin() *site {
	s.t.Helper()
	other := s.newVisitor()
	u, err := url.Parse(s.server.URL)
	s.must(err)
	other.visitor.Jar.SetCookies(u, s.visitor.Jar.Cookies(u))
	return other
}

// actionsOf returns the actions in a tenant's audit log, newest first.
func (s *site) actionsOf(p tenant) []string {
	s.t.Helper()
	entries, _, err := s.store.ListLog(s.t.Context(), p.org.ID, postgres.LogFilter{Limit: 500})
	s.must(err)
	actions := make([]string, len(entries))
	for i := range entries {
		actions[i] = entries[i].Action
	}
	return actions
}

// newActions counts the actions that were recorded since before.
func newActions(before, after []string) map[string]int {
	n := map[string]int{}
	for _, action := range after[:len(after)-len(before)] {
		n[action]++
	}
	return n
}

// recordedBy returns how often a form records one action: a transfer changes two roles.
func recordedBy(route string) int {
	if route == memberPath+"/transfer" {
		return 2
	}
	return 1
}
