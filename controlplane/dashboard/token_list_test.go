package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// Two more accounts.
var (
	anAdmin = controlplane.GitHubAccount{ID: 21, Login: "an-admin"}
	aMember = controlplane.GitHubAccount{ID: 22, Login: "a-member"}
)

// token creates an API token.
func (s *site) token(
	org *controlplane.Organization, in lifecycle.NewToken,
) (t *controlplane.Token, secret string) {
	s.t.Helper()
	if in.Scopes == nil {
		in.Scopes = []controlplane.Scope{controlplane.ScopeDomainsRead}
	}
	t, secret, err := s.life.CreateToken(s.t.Context(), controlplane.System("admin"), nil, org.ID,
		in)
	s.must(err)
	return t, secret
}

// tokenWorks reports whether a token's secret is valid now.
func (s *site) tokenWorks(secret string) bool {
	s.t.Helper()
	t, err := s.store.TokenByHash(s.t.Context(), controlplane.HashSecret(secret))
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return false
	}
	s.must(err)
	return t.SecretUntil == nil || t.SecretUntil.After(time.Now())
}

var tokenSecretPattern = regexp.MustCompile(`dcv_[0-9A-Za-z]{36}`)

// secretOf returns the secret on a page. It fails if the page can be cached.
func (a response) secretOf() string {
	a.t.Helper()
	secret := tokenSecretPattern.FindString(a.want(http.StatusOK,
		"The secret is shown only once").body)
	if secret == "" {
		a.t.Fatalf("the page shows no secret:\n%s", a.text)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		a.t.Errorf("Cache-Control = %q, want no-store", got)
	}
	return secret
}

func TestNoTokens(t *testing.T) {
	s := newSignedIn(t)
	s.addMember(s.org, aMember, controlplane.RoleMember)
	s.get("/settings/tokens").want(http.StatusOK, "No tokens yet",
		"DCVAAS_API_TOKEN").has(`href="/settings/tokens/new"`,
		`href="/settings/tokens" aria-current="true"`).hasNot("<table", "revoke-all")
	s.signedInAs(aMember).get("/settings/tokens").want(http.StatusOK,
		"An admin or owner can create one").hasNot("/settings/tokens/new")
}

func TestCreateToken(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "example.com")
	s.get("/settings/tokens/new").want(http.StatusOK,
		"Enter one domain per line").has(`<label for="name">`, `value="certificates:key"`,
		`<option value="90d" selected>`)
	a := s.follow(s.post("/settings/tokens", url.Values{"name": {" deploy "},
		"scope": {"domains:read", "jobs:read"}, "end": {"30d"},
		"domains": {"\r\nExample.com\r\n"}}))
	secret := a.secretOf()
	a.has(`data-copy="`+secret+`"`, `class="quiet copy"`).want(http.StatusOK, "deploy",
		"The token expires in 30 days")
	if n := strings.Count(a.body, secret); n != 2 {
		t.Errorf("the secret is on the page %d times, want 2", n)
	}
	found, err := s.store.TokenByHash(t.Context(), controlplane.HashSecret(secret))
	s.must(err)
	token, err := s.store.Token(t.Context(), s.org.ID, found.ID)
	s.must(err)
	if token.Name != "deploy" || !slices.Equal(token.Scopes,
		[]controlplane.Scope{"domains:read", "jobs:read"}) ||
		!slices.Equal(token.DomainIDs, []string{d.ID}) ||
		token.CreatedBy != s.sessionOf(s).User.ID || token.ExpiresAt == nil {
		t.Errorf("token = %+v, want deploy with two scopes, one domain, and an expiry", token)
	}
	if got := s.actions(s.org.ID, "token"); !slices.Equal(got,
		[]string{controlplane.ActionTokenCreated}) {
		t.Errorf("audit actions = %v, want one token.created", got)
	}
	for _, path := range []string{"/settings/tokens", tokenURL(token.ID)} {
		s.get(path).want(http.StatusOK, "deploy", token.Secrets.Prefix()+"…", "domains:read", "example.com",
			"by developer", "Never").hasNot(secret)
	}
	secret = s.follow(s.post("/settings/tokens", url.Values{"name": {"no expiry"},
		"scope": {"domains:read"}, "end": {"never"}})).want(http.StatusOK, "The token never expires").secretOf()
	if found, err := s.store.TokenByHash(t.Context(),
		controlplane.HashSecret(secret)); err != nil || found.ExpiresAt != nil ||
		len(found.DomainIDs) != 0 {
		t.Errorf("TokenByHash = %+v, %v, want no expiry and no domains", found, err)
	}
}

func TestCreateInvalidToken(t *testing.T) {
	s := newSignedIn(t)
	s.add(s.newOrg("Other Ltd"), "foreign.example.com")
	s.addMember(s.org, anAdmin, controlplane.RoleAdmin)
	good := url.Values{"name": {"deploy"}, "scope": {"domains:read"}, "end": {"30d"},
		"domains": {""}}
	for what, c := range map[string]struct {
		field, value string
		says, focus  string
	}{
		"no name": {"name", " ",
			"It must have 1 to 200 characters", `name="name"`},
		"a long name": {"name", strings.Repeat("x", 201),
			"It must have at most 200 characters.", `name="name"`},
		"an unstorable name": {"name", "a\x00b", "can't be stored", `name="name"`},
		"no scope":           {"scope", "", "A token needs at least one scope.", `id="scopes-error"`},
		"an unknown scope": {"scope", "world:write", "It must be one of domains:read",
			`id="scopes-error"`},
		"no expiry":         {"end", "", "Choose an expiry", `name="end"`},
		"an unknown expiry": {"end", "1000y", "Choose an expiry", `name="end"`},
		"an unknown domain": {"domains", "nowhere.example.com",
			"Not found in this organization: “nowhere.example.com”", `name="domains"`},
		"a domain of another organization": {"domains", "foreign.example.com",
			"Not found in this organization: “foreign.example.com”", `name="domains"`},
		"an invalid name": {"domains", "\"><script>alert(1)</script>\n\x00",
			"<script>alert(1)</script>", `name="domains"`},
		"too many domains": {"domains", strings.Repeat("example.com\n", 501),
			"Enter at most 500 domains; the list has 501.", `name="domains"`},
	} {
		t.Run(what, func(t *testing.T) {
			form := url.Values{}
			for k, v := range good {
				form[k] = v
			}
			form[c.field] = []string{c.value}
			if c.field == "scope" && c.value == "" {
				delete(form, "scope") // as browsers send a form without a checked box
			}
			a := s.post("/settings/tokens", form).want(http.StatusUnprocessableEntity, c.says)
			if !regexp.MustCompile(`<[a-z]+[^>]*` + regexp.QuoteMeta(c.focus) +
				`[^>]*autofocus`).MatchString(a.body) {
				t.Errorf("the focus is not on the element with %s", c.focus)
			}
			a.hasNot("<script>alert").has(`role="alert"`)
			if c.field != "name" {
				a.has(`value="deploy"`)
			}
			if c.field != "scope" {
				a.has(`value="domains:read" checked`)
			}
		})
	}
	// A user cannot give a token scopes that they lack.
	as := s.signedInAs(anAdmin)
	as.get("/settings/tokens/new").want(http.StatusOK).has(`value="tokens:write"`).hasNot(
		`value="members:write"`, `value="organization:write"`)
	good.Set("scope", "members:write")
	as.post("/settings/tokens", good).want(http.StatusUnprocessableEntity,
		"does not have the scope members:write")
	if tokens, _, err := s.store.ListTokens(t.Context(), s.org.ID, "", nil, 10); err != nil ||
		len(tokens) != 0 {
		t.Errorf("ListTokens = %v, %v, want none", tokens, err)
	}
}

func TestRenameToken(t *testing.T) {
	s := newSignedIn(t)
	token, _ := s.token(s.org, lifecycle.NewToken{Name: "old"})
	s.post(tokenURL(token.ID)+"/rename", url.Values{"name": {" "}}).want(
		http.StatusUnprocessableEntity, "1 to 200 characters",
		"old").has(`aria-describedby="name-error"`, `value=" "`)
	s.post(tokenURL(token.ID)+"/rename", url.Values{"name": {"<b>new</b>"}}).to(tokenURL(token.ID))
	s.get(tokenURL(token.ID)).want(http.StatusOK, "Token renamed", "<b>new</b>").hasNot("<b>new")
}

func TestRotateToken(t *testing.T) {
	s := newSignedIn(t)
	token, first := s.token(s.org, lifecycle.NewToken{Name: "ci"})
	path := tokenURL(token.ID)
	s.get(path).want(http.StatusOK).has(`<option value="24h" selected>`).hasNot("Previous secret")
	a := s.follow(s.post(path+"/rotate", url.Values{"overlap": {"7d"}})).want(http.StatusOK,
		"Secret rotated",
		"Previous secrets remain valid; the last of them expires in")
	second := a.secretOf()
	if second == first || !s.tokenWorks(first) || !s.tokenWorks(second) {
		t.Errorf("first secret works: %v, second: %v; want two different secrets that both work",
			s.tokenWorks(first), s.tokenWorks(second))
	}
	s.get(path).want(http.StatusOK, "Previous secrets "+controlplane.SecretPrefix(first)+"… expires",
		"Previous secrets remain valid until they expire").hasNot(second)
	s.get("/settings/tokens").want(http.StatusOK, "Previous secrets expire in").hasNot(second)
	// A repeated rotation ends no secret early, and one without a grace period ends only the
	// current one.
	third := s.follow(s.post(path+"/rotate", url.Values{"overlap": {"none"}})).want(http.StatusOK,
		"Previous secrets remain valid; the last of them expires in").secretOf()
	if !s.tokenWorks(first) || s.tokenWorks(second) || !s.tokenWorks(third) {
		t.Errorf("first secret works: %v, second: %v, third: %v; want the first and the third",
			s.tokenWorks(first), s.tokenWorks(second), s.tokenWorks(third))
	}
	s.post(path+"/revoke-previous", nil).to(path)
	s.get(path).want(http.StatusOK, "Only the current secret is valid").hasNot("/revoke-previous")
	if s.tokenWorks(first) || !s.tokenWorks(third) {
		t.Error("a previous secret works after it was revoked, or the current one does not")
	}
	s.get("/settings/tokens").hasNot("Previous secrets")
	s.post(path+"/revoke-previous", nil).to(path)
	s.follow(s.post(path+"/rotate", url.Values{"overlap": {"none"}})).want(http.StatusOK,
		"Previous secrets no longer work")
	third = s.follow(s.post(path+"/rotate", url.Values{"overlap": {"1h"}})).want(
		http.StatusOK).secretOf()
	for _, overlap := range []string{"", "3600", "8d"} {
		s.post(path+"/rotate", url.Values{"overlap": {overlap}}).want(http.StatusBadRequest)
	}
	if !s.tokenWorks(third) {
		t.Error("a rejected rotation changed the secret")
	}
}

func TestRotateExpiredToken(t *testing.T) {
	s := newSignedIn(t)
	soon := time.Now().Add(time.Hour)
	token, _ := s.token(s.org, lifecycle.NewToken{Name: "ci", ExpiresAt: &soon})
	s.advance(2 * time.Hour)
	s.get(tokenURL(token.ID)).want(http.StatusOK, "Create a new token instead",
		"Expired").hasNot("/rotate")
	s.get("/settings/tokens").want(http.StatusOK, "Expired")
}

func TestRevokeTokens(t *testing.T) {
	s := newSignedIn(t)
	token, secret := s.token(s.org, lifecycle.NewToken{Name: "ci"})
	_, other := s.token(s.org, lifecycle.NewToken{Name: "deploy"})
	_, foreign := s.token(s.newOrg("Other Ltd"), lifecycle.NewToken{Name: "theirs"})
	s.get(tokenURL(token.ID)).want(http.StatusOK, "This cannot be undone")
	s.post(tokenURL(token.ID)+"/revoke", nil).to("/settings/tokens")
	s.get("/settings/tokens").want(http.StatusOK, "Token revoked", "deploy").hasNot(token.ID)
	s.get(tokenURL(token.ID)).want(http.StatusNotFound)
	if s.tokenWorks(secret) || !s.tokenWorks(other) {
		t.Error("the wrong token was revoked")
	}
	s.post("/settings/tokens/revoke-all", url.Values{"confirm": {"yes"}}).want(
		http.StatusUnprocessableEntity, "Nothing was revoked").has(`aria-invalid="true"`, " open>")
	if !s.tokenWorks(other) {
		t.Error("the token was revoked without confirmation")
	}
	s.post("/settings/tokens/revoke-all", url.Values{"confirm": {" Revoke All "}}).to(
		"/settings/tokens")
	s.get("/settings/tokens").want(http.StatusOK, "All tokens revoked", "No tokens yet")
	if s.tokenWorks(other) || !s.tokenWorks(foreign) {
		t.Error("want exactly the organization's tokens revoked")
	}
}

// A member sees tokens without buttons. An admin cannot rotate a token that exceeds their role.
func TestTokensByRole(t *testing.T) {
	s := newSignedIn(t)
	s.addMember(s.org, anAdmin, controlplane.RoleAdmin)
	s.addMember(s.org, aMember, controlplane.RoleMember)
	token, secret := s.token(s.org, lifecycle.NewToken{Name: "ci", Scopes: controlplane.Scopes()})
	as := s.signedInAs(aMember)
	as.get("/settings/tokens").want(http.StatusOK, "ci",
		"All scopes").hasNot("/settings/tokens/new", "revoke-all", "<button class=\"danger\"")
	as.get(tokenURL(token.ID)).want(http.StatusOK, "ci",
		"by Operator").hasNot(`method="post" action="/settings`)
	as.get("/settings/tokens/new").want(http.StatusForbidden)
	for path, form := range map[string]url.Values{
		"/settings/tokens": {"name": {"x"}, "scope": {"domains:read"},
			"end": {"never"}},
		"/settings/tokens/revoke-all":  {"confirm": {"revoke all"}},
		tokenURL(token.ID) + "/rename": {"name": {"x"}},
		tokenURL(token.ID) + "/rotate": {"overlap": {"none"}},
		tokenURL(token.ID) + "/revoke": nil,
	} {
		as.post(path, form).want(http.StatusForbidden,
			"The role member does not include the permission tokens:write")
	}
	as = s.signedInAs(anAdmin)
	as.get(tokenURL(token.ID)).want(http.StatusOK, "The token exceeds your role").hasNot("/rotate")
	as.post(tokenURL(token.ID)+"/rotate", url.Values{"overlap": {"none"}}).want(
		http.StatusForbidden, "has more access than the caller")
	if now, err := s.store.Token(t.Context(), s.org.ID, token.ID); err != nil || now.Name != "ci" ||
		!s.tokenWorks(secret) {
		t.Errorf("Token = %+v, %v, want it unchanged", now, err)
	}
}

func TestTokensOfOtherOrganization(t *testing.T) {
	s := newSignedIn(t)
	token, secret := s.token(s.newOrg("Other Ltd"), lifecycle.NewToken{Name: "theirs"})
	s.get("/settings/tokens").want(http.StatusOK).hasNot("theirs")
	for _, id := range []string{token.ID, controlplane.NewID(controlplane.PrefixToken),
		"tok_x", s.org.ID} {
		s.get(tokenURL(id)).want(http.StatusNotFound)
		s.post(tokenURL(id)+"/rename", url.Values{"name": {"mine"}}).want(http.StatusNotFound)
		s.post(tokenURL(id)+"/rotate", url.Values{"overlap": {"none"}}).want(http.StatusNotFound)
		s.post(tokenURL(id)+"/revoke", nil).want(http.StatusNotFound)
	}
	if !s.tokenWorks(secret) {
		t.Error("the token no longer works")
	}
	out := s.newVisitor()
	out.get("/settings/tokens").to(signInTo("/settings/tokens"))
	out.get(tokenURL(token.ID)).to(signInTo(tokenURL(token.ID)))
	out.post("/settings/tokens", nil).to(signInTo("/settings/tokens/new"))
}

func TestHostileTokenName(t *testing.T) {
	s := newSignedIn(t)
	token, _ := s.token(s.org, lifecycle.NewToken{Name: `"><script>alert(1)</script>`,
		Scopes: controlplane.Scopes()[:3]})
	for _, path := range []string{"/settings/tokens", tokenURL(token.ID)} {
		s.get(path).want(http.StatusOK, `"><script>alert(1)</script>`).hasNot("<script>alert")
	}
	a := s.follow(s.post(tokenURL(token.ID)+"/rotate", url.Values{"overlap": {"1h"}}))
	a.secretOf()
	a.hasNot("<script>alert")
}

func TestTokenListPages(t *testing.T) {
	s := newSignedIn(t)
	for i := range tokensPerPage + 2 {
		s.token(s.org, lifecycle.NewToken{Name: fmt.Sprintf("t%03d", i)})
	}
	first := s.get("/settings/tokens").want(http.StatusOK, "t051", "t002",
		"Next page").hasNot("t001", "First page")
	link := strings.ReplaceAll(regexp.MustCompile(
		`href="(/settings/tokens\?cursor=[^"]*)"`).FindStringSubmatch(first.body)[1], "&amp;", "&")
	s.get(link).want(http.StatusOK, "t001", "t000", "First page").hasNot("t002", "Next page")
	s.get("/settings/tokens?cursor=abc").want(http.StatusBadRequest)
	other := s.newOrg("Other Ltd")
	s.addMember(other, developer, controlplane.RoleOwner)
	s.post("/organizations/"+other.ID+"/switch", nil).to("/domains")
	s.get(link).want(http.StatusBadRequest)
}

func TestScopeDescriptions(t *testing.T) {
	t.Parallel()
	for _, s := range controlplane.Scopes() {
		if scopeDescriptions[s] == "" {
			t.Errorf("scope %s has no description", s)
		}
	}
	if len(scopeDescriptions) != len(controlplane.Scopes()) {
		t.Error("scopeDescriptions has an unknown scope")
	}
}
