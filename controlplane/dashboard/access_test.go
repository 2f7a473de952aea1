package dashboard

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"
	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// access states who can use a route and how.
type access struct {
	open   bool                    // no sign-in required
	scope  controlplane.Scope      // scope that the role needs; empty if every role can use it
	form   func(tenant) url.Values // form of a POST that succeeds; nil if it needs none
	status int                     // of success; default: 200 for GET, 303 for POST
	gone   int                     // status for an unknown object; default: 404
	stream bool                    // the response does not end
	pages  int                     // number of lists with several pages
}

// accesses has each route of the dashboard.
var accesses = map[string]access{
	"GET /":                             {open: true, status: http.StatusSeeOther},
	"GET /login":                        {open: true},
	"POST /login":                       {open: true},
	"GET /login/github":                 {open: true},
	"GET " + CallbackPath:               {open: true},
	"POST /logout":                      {open: true},
	"GET /invitations/{secret}":         {open: true},
	"POST /invitations/{secret}":        {open: true},
	"POST /invitations/{secret}/github": {open: true},
	"GET " + farewellPath:               {open: true},
	"GET /static/{file}":                {open: true},

	"GET " + invitedPath: {},
	// No user is invited in this test.
	"POST " + invitedPath + "/{organization}/accept": {status: http.StatusNotFound,
		form: fields("role", "member")},
	"POST " + invitedPath + "/{organization}/decline": {status: http.StatusNotFound},

	"GET " + sessionsPath:                  {},
	"POST " + sessionsPath + "/end-others": {},
	// an ended session is not an error
	"POST " + sessionsPath + "/{session}/end": {gone: http.StatusSeeOther},

	"POST /organizations":                       {form: fields("name", "Another Ltd")},
	"GET /organizations":                        {},
	"POST /organizations/{organization}/switch": {},

	"GET /domains":                 {pages: 1},
	"GET /domains.csv":             {},
	"POST /domains":                {scope: controlplane.ScopeDomainsWrite, form: newName},
	"GET /domains/{domain}":        {},
	"GET /domains/{domain}/events": {stream: true},
	"GET /domains/{domain}/records.{format:zone|csv}": {},
	"POST /domains/{domain}/names":                    {scope: controlplane.ScopeDomainsWrite, form: fields("names", "www.example.net")},
	"GET " + selectedPath:                             {scope: controlplane.ScopeDomainsWrite, status: http.StatusSeeOther},
	"GET " + selectionPath:                            {scope: controlplane.ScopeDomainsWrite},
	"GET " + selectionResultPath: {scope: controlplane.ScopeDomainsWrite,
		status: http.StatusNotFound},
	"POST " + selectionPath + "/check": {scope: controlplane.ScopeDomainsWrite},
	"POST " + selectionPath + "/renew": {scope: controlplane.ScopeDomainsWrite},
	"POST " + selectionPath + "/labels": {scope: controlplane.ScopeDomainsWrite,
		form: fields("set", "team=web")},
	"POST " + selectionPath + "/delete": {scope: controlplane.ScopeDomainsWrite,
		form: fields("confirm", "1")},
	"GET " + domainDiagnosisPath:      {},
	"GET /domains/{domain}/settings":  {scope: controlplane.ScopeDomainsWrite},
	"POST /domains/{domain}/settings": {scope: controlplane.ScopeDomainsWrite, form: fields("key_type", "ec384", "auto_renew", "1")},
	"POST /domains/{domain}/delete": {scope: controlplane.ScopeDomainsWrite,
		form: func(p tenant) url.Values { return url.Values{"confirm": {p.domain.Name}} }},
	"POST /domains/{domain}/check": {scope: controlplane.ScopeDomainsWrite},
	"POST /domains/{domain}/issue": {scope: controlplane.ScopeDomainsWrite},
	"POST /domains/{domain}/renew": {scope: controlplane.ScopeDomainsWrite},
	"GET /alerts":                  {},
	"GET /jobs":                    {pages: 1},
	"POST /jobs/{job}/retry":       {scope: controlplane.ScopeJobsWrite},
	"GET /expiry":                  {},

	"GET /certificates/{certificate}":                                 {},
	"GET /certificates/{certificate}/{part:fullchain|leaf|chain}.pem": {},
	"GET /certificates/{certificate}/key":                             {scope: controlplane.ScopeCertificatesKey},
	"POST /certificates/{certificate}/key":                            {scope: controlplane.ScopeCertificatesKey, status: http.StatusOK, form: keyFields("")},
	"POST /certificates/{certificate}/pkcs12":                         {scope: controlplane.ScopeCertificatesKey, status: http.StatusOK, form: keyFields("a password")},
	"GET /certificates/{certificate}/revoke":                          {scope: controlplane.ScopeCertificatesRevoke},
	"POST /certificates/{certificate}/revoke": {scope: controlplane.ScopeCertificatesRevoke,
		form: func(p tenant) url.Values {
			return url.Values{"reason": {"superseded"}, "name": {p.domain.Name}}
		}},

	"GET /settings":              {status: http.StatusSeeOther},
	"GET /settings/organization": {},
	"POST /settings/organization": {scope: controlplane.ScopeOrganizationWrite,
		form: fields("name", "Renamed")},
	"POST /settings/organization/delete": {scope: controlplane.ScopeOrganizationWrite,
		form: func(p tenant) url.Values { return url.Values{"confirm": {p.org.Name}} }},
	"POST /settings/organization/leave": {},

	"GET " + membersPath: {pages: 2},
	"POST " + membersPath: {scope: controlplane.ScopeMembersWrite,
		form: fields("role", "member", "days", "7")},
	"GET " + invitationLinkPath + readingPath: {scope: controlplane.ScopeMembersWrite,
		status: http.StatusGone, gone: http.StatusGone},
	"GET " + membersPath + "/{member}": {scope: controlplane.ScopeMembersWrite},
	"POST " + membersPath + "/{member}/role": {scope: controlplane.ScopeMembersWrite,
		form: fields("role", "admin")},
	"POST " + membersPath + "/{member}/transfer": {scope: controlplane.ScopeMembersWrite,
		form: func(p tenant) url.Values {
			return url.Values{"confirm": {p.member.User.Title()}}
		}},
	"POST " + membersPath + "/{member}/remove":       {scope: controlplane.ScopeMembersWrite},
	"POST /settings/invitations/{invitation}/revoke": {scope: controlplane.ScopeMembersWrite},

	"GET /settings/tokens": {scope: controlplane.ScopeTokensRead, pages: 1},
	"POST /settings/tokens": {scope: controlplane.ScopeTokensWrite,
		form: fields("name", "new", "scope", "domains:read", "end", "90d")},
	"GET /settings/tokens/new": {scope: controlplane.ScopeTokensWrite},
	"POST /settings/tokens/revoke-all": {scope: controlplane.ScopeTokensWrite,
		form: fields("confirm", revokeAllText)},
	"GET /settings/tokens/{token}": {scope: controlplane.ScopeTokensRead},
	"POST /settings/tokens/{token}/rename": {scope: controlplane.ScopeTokensWrite,
		form: fields("name", "renamed")},
	"POST /settings/tokens/{token}/rotate": {scope: controlplane.ScopeTokensWrite,
		form: fields("overlap", "24h")},
	"GET " + tokenSecretPath + readingPath: {scope: controlplane.ScopeTokensWrite,
		status: http.StatusGone},
	"POST /settings/tokens/{token}/revoke-previous": {scope: controlplane.ScopeTokensWrite},
	"POST /settings/tokens/{token}/revoke":          {scope: controlplane.ScopeTokensWrite},
	"GET /settings/audit":                           {scope: controlplane.ScopeAuditRead, pages: 1},

	"GET " + domainDNSPath: {scope: controlplane.ScopeDomainsWrite},
	"POST " + domainDNSPath: {scope: controlplane.ScopeDomainsWrite,
		form: func(p tenant) url.Values { return url.Values{"plan": {p.plan()}} }},
	"POST " + domainDNSPath + "/leave":        {scope: controlplane.ScopeDomainsWrite},
	"GET " + connectionsPath:                  {pages: 1, scope: controlplane.ScopeConnectionsRead},
	"POST " + connectionsPath:                 {scope: controlplane.ScopeConnectionsWrite, form: newCredentials},
	"GET " + connectionPath:                   {scope: controlplane.ScopeConnectionsRead},
	"POST " + connectionPath:                  {scope: controlplane.ScopeConnectionsWrite, form: fields("name", "renamed")},
	"POST " + connectionPath + "/test":        {scope: controlplane.ScopeConnectionsWrite},
	"POST " + connectionPath + "/credentials": {scope: controlplane.ScopeConnectionsWrite, form: otherCredentials},
	"POST " + connectionPath + "/delete":      {scope: controlplane.ScopeConnectionsWrite},

	"GET " + acmeClientsPath:  {pages: 1, scope: controlplane.ScopeACMEDNSRead},
	"POST " + acmeClientsPath: {scope: controlplane.ScopeACMEDNSWrite, form: newAccount},
	"GET " + accountPath:      {scope: controlplane.ScopeACMEDNSRead},
	"POST " + accountPath:     {scope: controlplane.ScopeACMEDNSWrite, form: newAccount},
	"POST " + accountPath + "/attach": {scope: controlplane.ScopeACMEDNSWrite,
		form: delegationName},
	"POST " + accountPath + "/detach": {scope: controlplane.ScopeACMEDNSWrite},
	"POST " + accountPath + "/rotate": {scope: controlplane.ScopeACMEDNSWrite},
	"POST " + accountPath + "/delete": {scope: controlplane.ScopeACMEDNSWrite},
	"GET " + accountPasswordPath + readingPath: {scope: controlplane.ScopeACMEDNSWrite,
		status: http.StatusGone},

	"POST " + registrationKeysPath:            {scope: controlplane.ScopeACMEDNSWrite, form: fields("name", "new")},
	"POST " + registrationKeyPath + "/revoke": {scope: controlplane.ScopeACMEDNSWrite},
	"GET " + registrationURLPath + readingPath: {scope: controlplane.ScopeACMEDNSWrite,
		status: http.StatusGone},

	"GET /webhooks": {pages: 1},
	"POST /webhooks": {scope: controlplane.ScopeWebhooksWrite,
		form: fields("url", "https://example.com/new", "all", "1",
			"enabled", "1")},
	"GET /webhooks/{webhook}": {pages: 1},
	"POST /webhooks/{webhook}": {scope: controlplane.ScopeWebhooksWrite,
		form: fields("url", "https://example.com/changed", "all", "1", "enabled", "1")},
	"POST /webhooks/{webhook}/rotate": {scope: controlplane.ScopeWebhooksWrite},
	"GET " + webhookSecretPath + readingPath: {scope: controlplane.ScopeWebhooksWrite,
		status: http.StatusGone},
	"POST /webhooks/{webhook}/revoke-previous": {scope: controlplane.ScopeWebhooksWrite},
	"POST /webhooks/{webhook}/delete":          {scope: controlplane.ScopeWebhooksWrite},
	"POST /webhooks/{webhook}/test":            {scope: controlplane.ScopeWebhooksWrite},
	"POST /webhooks/{webhook}/redeliver": {scope: controlplane.ScopeWebhooksWrite,
		form: func(tenant) url.Values {
			return url.Values{"since": {time.Now().Add(-time.Hour).UTC().Format(
				"2006-01-02T15:04")}}
		}},
	"GET /webhooks/{webhook}/deliveries/{delivery}":            {},
	"POST /webhooks/{webhook}/deliveries/{delivery}/redeliver": {scope: controlplane.ScopeWebhooksWrite},
}

// fields returns a form with names and values.
func fields(pairs ...string) func(tenant) url.Values {
	return func(tenant) url.Values {
		form := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		return form
	}
}

// keyFields returns the form that downloads a private key, with a password if there is one.
func keyFields(password string) func(tenant) url.Values {
	return func(p tenant) url.Values {
		form := url.Values{"name": {p.domain.Name}}
		if password != "" {
			form.Set("password", password)
		}
		return form
	}
}

func newName(tenant) url.Values {
	return url.Values{"name": {strings.TrimPrefix(controlplane.NewID("new"), "new_") +
		".example.com"}}
}

// tenant is an organization with one of each object and a signed-in owner.
type tenant struct {
	org         *controlplane.Organization
	owner       *site
	account     controlplane.GitHubAccount // of the owner
	domain      *controlplane.Domain
	job         *controlplane.Job
	certificate *controlplane.Certificate
	token       *controlplane.Token
	member      *controlplane.Member
	invitation  string
	webhook     string
	delivery    string
	connection  string
	acme        string // acme-dns account
	key         string // registration key
	session     string // of the owner
}

// newTenant creates a tenant whose names contain the word.
func (s *site) newTenant(word string) tenant {
	s.t.Helper()
	p := tenant{org: s.newOrg(word + " Incorporated")}
	s.exec(`UPDATE organizations SET subscription_tier = 'agency', domain_limit = 1000 WHERE id = $1`, p.org.ID)
	var owner *controlplane.Member
	p.owner, owner = s.visitorAs(p.org, controlplane.RoleOwner)
	p.account = controlplane.GitHubAccount{ID: owner.User.GitHubID, Login: owner.User.Login}
	p.owner.post("/webhooks", url.Values{"url": {"https://hooks." + word + ".example.net/"},
		"description": {"the hook of " + word}, "all": {"1"}, "enabled": {"1"}}).want(
		http.StatusSeeOther)
	p.connection = s.connection(p.org, "ns1 of "+word, word+".example.net").ID
	p.acme = s.account(p.org, "the client of "+word).ID
	p.key = s.registrationKey(p.org, "the servers of "+word).ID
	p.domain = s.add(p.org, word+".example.net")
	p.job = s.deadLetter(p.domain)
	p.certificate = s.issueWithKey(p.domain)
	p.token, _ = s.token(p.org, lifecycle.NewToken{Name: "the token of " + word,
		DomainIDs: []string{p.domain.ID}})
	_, p.member = s.visitorAs(p.org, controlplane.RoleMember)
	p.owner.post(membersPath, url.Values{"role": {"member"}, "days": {"7"}}).want(
		http.StatusSeeOther)
	p.invitation = s.queryText(`SELECT id FROM invitations WHERE org_id = $1`, p.org.ID)
	p.webhook = s.queryText(`SELECT id FROM webhooks WHERE org_id = $1`, p.org.ID)
	p.session = s.queryText(`SELECT id FROM sessions WHERE org_id = $1 ORDER BY id LIMIT 1`,
		p.org.ID)
	p.delivery = s.queryText(
		`SELECT id FROM webhook_deliveries WHERE org_id = $1 ORDER BY id LIMIT 1`, p.org.ID)
	return p
}

// visitorAs adds a member and returns a visitor who is signed in as that member.
func (s *site) visitorAs(
	org *controlplane.Organization, role controlplane.Role,
) (*site, *controlplane.Member) {
	s.t.Helper()
	id := rand.Int64N(1 << 50)
	account := controlplane.GitHubAccount{ID: id, Login: fmt.Sprintf("user-%d", id)}
	m := s.addMember(org, account, role)
	visitor := s.signedInAs(account)
	visitor.post(switchURL(org.ID), nil).want(http.StatusSeeOther)
	return visitor, m
}

// path returns a route's path with the tenant's objects.
func (p tenant) path(template string) string {
	return strings.NewReplacer("{organization}", p.org.ID, "{domain}", p.domain.ID,
		"{selection}", p.domain.ID, "{result}", "RESULT",
		"{job}", p.job.ID, "{certificate}", p.certificate.ID, "{part:fullchain|leaf|chain}",
		"fullchain", "{format:zone|csv}", "csv",
		"{token}", p.token.ID, "{member}", p.member.User.ID, "{invitation}", p.invitation,
		"{webhook}", p.webhook, "{connection}", p.connection, "{account}", p.acme, "{key}", p.key, "{delivery}", p.delivery, "{session}", p.session,
		"{secret}", controlplane.NewRandomSecret(), "{file}", "missing.css", "{reading}", "READING").Replace(template)
}

// connect returns a database connection that bypasses the store.
func (s *site) connect() *pgx.Conn {
	s.t.Helper()
	conn, err := pgx.Connect(context.Background(), s.dsn)
	s.must(err)
	return conn
}

func (s *site) exec(sql string, args ...any) {
	s.t.Helper()
	conn := s.connect()
	defer func() { _ = conn.Close(context.Background()) }()
	_, err := conn.Exec(context.Background(), sql, args...)
	s.must(err)
}

// queryText returns the text that a query returns.
func (s *site) queryText(sql string, args ...any) string {
	s.t.Helper()
	conn := s.connect()
	defer func() { _ = conn.Close(context.Background()) }()
	var text string
	s.must(conn.QueryRow(context.Background(), sql, args...).Scan(&text))
	return text
}

// withT returns the site for a subtest, with the same visitor.
func (s *site) withT(t *testing.T) *site {
	sub := *s
	sub.t = t
	return &sub
}

// route is a method and a path of the dashboard.
type route struct{ method, template string }

func (r route) String() string { return r.method + " " + r.template }

func (r route) access(t *testing.T) access {
	t.Helper()
	a, ok := accesses[r.String()]
	if !ok {
		t.Fatalf("%s is routed but not in accesses (access_test.go): add who can use it (open or a scope) and a valid form", r)
	}
	return a
}

// params returns the path parameters that match any text.
func (r route) params() []string {
	var found []string
	for _, part := range strings.Split(r.template, "/") {
		if strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}") &&
			!strings.Contains(part, ":") {
			found = append(found, part)
		}
	}
	return found
}

// allRoutes returns the routes of the router. It omits HEAD, which is GET without a body.
func (s *site) allRoutes() []route {
	s.t.Helper()
	var found []route
	s.must(s.dash.routes().(*mux.Router).Walk(func(r *mux.Route, _ *mux.Router,
		_ []*mux.Route) error {
		template, err := r.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := r.GetMethods()
		if err != nil {
			return err
		}
		for _, method := range methods {
			if method != http.MethodHead {
				found = append(found, route{method, template})
			}
		}
		return nil
	}))
	for name := range accesses {
		if !slices.ContainsFunc(found, func(r route) bool { return r.String() == name }) {
			s.t.Errorf("accesses has %s, want only routed paths", name)
		}
	}
	return found
}

// sendTo sends a request to a route. It does not read the body of a stream.
func (s *site) sendTo(r route, path string, form url.Values) response {
	s.t.Helper()
	if r.method == http.MethodPost {
		return s.post(path, form)
	}
	if !accesses[r.String()].stream {
		return s.get(path)
	}
	ctx, stop := context.WithCancel(s.t.Context())
	defer stop()
	q, err := http.NewRequestWithContext(ctx, r.method, s.server.URL+path, nil)
	s.must(err)
	res, err := s.visitor.Do(q)
	s.must(err)
	defer func() { _ = res.Body.Close() }()
	return response{t: s.t, status: res.StatusCode, header: res.Header}
}

// It requests every route with each role, without a session, and with invalid sessions.
func TestAccessByRole(t *testing.T) {
	s := newSite(t, withSealer(t))
	shared := s.newTenant("shared")
	roles := map[controlplane.Role]*site{}
	for _, role := range []controlplane.Role{controlplane.RoleMember, controlplane.RoleAdmin,
		controlplane.RoleOwner} {
		roles[role], _ = s.visitorAs(shared.org, role)
	}
	strangers := map[string]*site{"no session": s.newVisitor()}
	removed, m := s.visitorAs(shared.org, controlplane.RoleMember)
	shared.owner.post(memberURL(m.User.ID)+"/remove", nil).to(membersPath)
	strangers["a removed member"] = removed
	expired, m := s.visitorAs(shared.org, controlplane.RoleOwner)
	s.exec(`UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = $1`,
		m.User.ID)
	strangers["an expired session"] = expired

	before := postgrestest.RowsOf(t, s.dsn, shared.org.ID)
	t.Run("walk", func(t *testing.T) {
		for _, r := range s.allRoutes() {
			t.Run(r.String(), func(t *testing.T) {
				t.Parallel()
				s, a := s.withT(t), r.access(t)
				for name, stranger := range strangers {
					stranger.withT(t).wantLogin(r, a, shared, name)
				}
				for role, visitor := range roles {
					s.walkRole(r, a, shared, role, visitor.withT(t))
				}
			})
		}
	})
	if diff := postgrestest.RowsOf(t, s.dsn, shared.org.ID).Diff(before); diff != "" {
		t.Errorf("read-only or rejected requests changed rows:\n%s", diff)
	}
}

// wantLogin fails unless a visitor who is not signed in is redirected to the login page.
func (s *site) wantLogin(r route, a access, at tenant, name string) {
	s.t.Helper()
	if a.open {
		return
	}
	got := s.sendTo(r, at.path(r.template), a.formOf(at))
	if a.stream {
		got.want(http.StatusUnauthorized)
		return
	}
	if to := got.header.Get("Location"); got.status != http.StatusSeeOther || to != "/login" &&
		!strings.HasPrefix(to, "/login?") {
		s.t.Errorf("%s as %s: status %d, Location %q, want 303 to /login", r, name, got.status, to)
	}
}

func (a access) formOf(at tenant) url.Values {
	if a.form == nil {
		return nil
	}
	return a.form(at)
}

// walkRole fails unless the role can use the route if and only if it has the scope.
func (s *site) walkRole(r route, a access, shared tenant, role controlplane.Role, visitor *site) {
	s.t.Helper()
	if a.open {
		if r.method == http.MethodGet && len(r.params()) == 0 {
			if got := visitor.sendTo(r, r.template,
				nil); got.status >= http.StatusInternalServerError {
				s.t.Errorf("%s as %s: status %d", r, role, got.status)
			}
		}
		return
	}
	at, want := shared, http.StatusForbidden
	if a.scope == "" || role.Grant().Allows(a.scope) {
		if want = a.status; want == 0 {
			want = map[string]int{http.MethodGet: http.StatusOK,
				http.MethodPost: http.StatusSeeOther}[r.method]
		}
		if r.method == http.MethodPost { // it changes its objects
			at = s.newTenant("own")
			visitor, _ = s.visitorAs(at.org, role)
		}
	}
	got := visitor.sendTo(r, at.path(r.template), a.formOf(at))
	if got.status != want {
		s.t.Errorf("%s as %s: status %d, want %d: %.600s", r, role, got.status, want, got.text)
	}
	if want == http.StatusForbidden && !strings.Contains(got.text, "does not include the permission "+
		string(a.scope)) {
		s.t.Errorf("%s as %s: the page does not name the scope %s: %.600s", r, role, a.scope,
			got.text)
	}
}
