package api

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// estate is one of everything that an organization can own.
type estate struct {
	domain      *controlplane.Domain
	job         *controlplane.Job
	certificate *controlplane.Certificate
	token       *controlplane.Token
	owner       *controlplane.Member
	member      *controlplane.Member
	invitation  *controlplane.Invitation
	webhook     *controlplane.Webhook
	delivery    *controlplane.Delivery
	session     *controlplane.Session // of the owner, who is signed in by the cookie of another one
	cookie      option
}

// ids returns what nobody else may be shown.
func (e estate) ids() []string {
	return []string{e.domain.ID, e.domain.Target, e.job.ID, e.certificate.ID, e.token.ID, e.member.User.ID, e.invitation.ID, e.webhook.ID, e.delivery.ID, e.session.ID}
}

func (w *world) newEstate(org, name string) estate {
	w.t.Helper()
	e := estate{domain: w.newDomain(org, name)}
	e.job = w.jobOf(org, e.domain.ID)
	e.certificate = w.newCertificate(e.domain, false)
	ctx, actor := w.t.Context(), controlplane.System("test")
	var errs [6]error
	someone := account()
	e.token, _, errs[0] = w.service.CreateToken(ctx, actor, nil, org, lifecycle.NewToken{Name: "estate", Scopes: controlplane.Scopes(), DomainIDs: []string{e.domain.ID}})
	e.owner, errs[1] = w.service.AddMember(ctx, actor, org, someone, controlplane.RoleOwner)
	e.member, errs[2] = w.service.AddMember(ctx, actor, org, account(), controlplane.RoleMember)
	e.invitation, _, errs[3] = w.service.CreateInvitation(ctx, actor, nil, org, controlplane.RoleMember, time.Hour)
	e.webhook, _, errs[4] = w.service.CreateWebhook(ctx, actor, org, lifecycle.NewWebhook{URL: "https://example.com/hook", Enabled: true})
	e.session, _, errs[5] = w.service.SignIn(ctx, controlplane.Actor{}, "test", someone)
	if err := errors.Join(errs[:]...); err != nil {
		w.t.Fatal(err)
	}
	e.cookie = w.signIn(someone)
	var err error
	if e.delivery, err = w.service.TestWebhook(ctx, actor, org, e.webhook.ID); err != nil {
		w.t.Fatal(err)
	}
	return e
}

// account returns an account at GitHub that nobody else has.
func account() controlplane.GitHubAccount {
	id := rand.Int64N(1 << 50)
	return controlplane.GitHubAccount{ID: id, Login: fmt.Sprintf("user-%d", id)}
}

// request returns a request of the operation that is right in form and names e's objects.
func (op *operation) request(e estate) (path string, body any) {
	path = strings.NewReplacer("{domain}", e.domain.ID, "{job}", e.job.ID, "{certificate}", e.certificate.ID, "{token}", e.token.ID,
		"{member}", e.member.User.ID, "{invitation}", e.invitation.ID, "{webhook}", e.webhook.ID, "{delivery}", e.delivery.ID, "{session}", e.session.ID).Replace(op.path)
	switch op.id {
	case "getDelegation":
		path += "?name=example.com"
	case "createDomain":
		body = map[string]any{"name": "new.example.org"}
	case "bulkCreateDomains":
		body = map[string]any{"domains": []any{map[string]any{"name": "new1.example.org"}}}
	case "revokeAllTokens", "endAllSessions":
		body = map[string]any{"keep_current": true}
	case "rotateToken":
		body = map[string]any{}
	case "updateDomain":
		body = map[string]any{"auto_issue": false}
	case "downloadPKCS12":
		body = map[string]any{"password": "hunter2-do-not-tell"}
	case "revokeCertificate":
		body = map[string]any{"reason": "superseded"}
	case "createToken":
		body = map[string]any{"name": "new", "scopes": []string{"domains:read"}}
	case "updateToken", "updateOrganization":
		body = map[string]any{"name": "renamed"}
	case "deleteOrganization":
		path += "?confirm=Test"
	case "addMember":
		body = map[string]any{"login": "octocat", "role": "member"}
	case "updateMember":
		body = map[string]any{"role": "admin"}
	case "transferOwnership":
		body = map[string]any{"to": e.member.User.ID, "from": e.owner.User.ID}
	case "createInvitation":
		body = map[string]any{"role": "member"}
	case "createWebhook":
		body = map[string]any{"url": "https://example.com/another"}
	case "updateWebhook":
		body = map[string]any{"description": "changed"}
	case "redeliverWebhookRange":
		body = map[string]any{"since": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}
	}
	return path, body
}

// caller returns who calls the operation: the one given, or, where it takes a session alone, the owner of e.
func (op *operation) caller(e estate, other option) option {
	if op.session {
		return e.cookie
	}
	return other
}

// secured returns the contract's operations that need a token, in a stable order.
func (w *world) secured() []*operation {
	var ops []*operation
	for _, op := range w.api.operations {
		if op.secured {
			ops = append(ops, op)
		}
	}
	slices.SortFunc(ops, func(x, y *operation) int { return strings.Compare(x.id, y.id) })
	return ops
}

// Every operation, with another organization's token: what is named is not there, no
// list shows it, and no row is touched.
func TestOtherOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	theirs := w.newOrg("Other")
	e := w.newEstate(theirs, "theirs.example.com")
	before := w.rows(theirs)
	for _, op := range w.secured() {
		path, body := op.request(e)
		caller := as(w.token)
		if op.id == "deleteOrganization" { // it ends whoever asks
			caller = as(w.newToken(w.newOrg("Test"), lifecycle.NewToken{Scopes: controlplane.Scopes()}))
		}
		if op.session {
			w.do(op.method, path, body, caller).problem(http.StatusForbidden, "session-required")
			caller = w.person(w.org, controlplane.RoleOwner).cookie
		}
		if op.id == "transferOwnership" { // it names its members in the body
			w.do(op.method, path, body, caller).problem(http.StatusUnprocessableEntity, "member-unknown")
			continue
		}
		a := w.do(op.method, path, body, caller)
		if strings.Contains(op.path, "{") {
			a.problem(http.StatusNotFound, "not-found")
			continue
		}
		if a.status >= 400 {
			t.Errorf("%s: %s", op.id, a.body)
		}
		for _, secret := range append(e.ids(), theirs) {
			if strings.Contains(a.body, secret) {
				t.Errorf("%s shows what is theirs: %s", op.id, a.body)
			}
		}
	}
	for _, filter := range []string{"/api/jobs?domain=", "/api/certificates?domain="} {
		w.do("GET", filter+e.domain.ID, nil).problem(404, "not-found")
		w.do("GET", filter+e.domain.Name, nil).problem(404, "not-found")
	}
	if after := w.rows(theirs); after != before {
		t.Error("a row of the other organization was touched")
	}
	// Their name is no secret, and free here: the target is another one.
	a := w.do("POST", "/api/domains", map[string]any{"name": e.domain.Name}).is(201)
	if strings.Contains(a.body, e.domain.Target) {
		t.Error("two organizations have one target")
	}
}

// Every operation needs exactly the scope that the contract names.
func TestScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.newEstate(w.org, "scopes.example.com")
	before := w.rows(w.org)
	for _, op := range w.secured() {
		if op.session {
			continue // no scope is enough, see TestSessionOnly
		}
		all := slices.DeleteFunc(controlplane.Scopes(), func(s controlplane.Scope) bool { return s == op.scope })
		without := w.newTokenElsewhere(all)
		path, body := op.request(e)
		a := w.do(op.method, path, body, as(without)).problem(http.StatusForbidden, "scope-missing")
		if !strings.Contains(a.string("detail"), string(op.scope)) || !strings.Contains(a.string("fix"), string(op.scope)) {
			t.Errorf("%s does not name %s: %s", op.id, op.scope, a.body)
		}
		if got := a.header.Get("WWW-Authenticate"); !strings.Contains(got, `scope="`+string(op.scope)+`"`) {
			t.Errorf("%s: WWW-Authenticate %q", op.id, got)
		}
		only := w.newTokenElsewhere([]controlplane.Scope{op.scope})
		if a := w.do(op.method, path, body, as(only)); a.status == http.StatusForbidden {
			t.Errorf("%s: %s is not enough: %s", op.id, op.scope, a.body)
		}
	}
	if w.rows(w.org) != before {
		t.Error("a row was touched")
	}
}

// ofTheWhole reports whether the operation is about what belongs to no domain of its own, and
// is not for callers that are restricted to some.
func (op *operation) ofTheWhole() bool {
	return strings.HasPrefix(op.path, "/api/webhooks") || op.method != http.MethodGet &&
		(strings.HasPrefix(op.path, "/api/members") || strings.HasPrefix(op.path, "/api/invitations") || strings.HasPrefix(op.path, "/api/organization"))
}

// newTokenElsewhere makes a token in an organization of its own.
func (w *world) newTokenElsewhere(scopes []controlplane.Scope) string {
	return w.newToken(w.newOrg("Elsewhere"), lifecycle.NewToken{Scopes: scopes})
}

// A token that is restricted to some domains is not allowed the others. Those of another organization do not exist for it
// either.
func TestRestrictedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, others := w.newEstate(w.org, "mine.example.com"), w.newEstate(w.org, "others.example.com")
	restricted := as(w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(), DomainIDs: []string{mine.domain.ID}}))

	for _, op := range w.secured() {
		if !strings.Contains(op.path, "{") {
			continue
		}
		path, body := op.request(others)
		if op.session {
			w.do(op.method, path, body, restricted).problem(http.StatusForbidden, "session-required")
			continue
		}
		if op.ofTheWhole() {
			w.do(op.method, path, body, restricted).problem(http.StatusForbidden, "token-restricted")
			continue
		}
		if strings.Contains(op.path, "{member}") {
			w.do(op.method, path, body, restricted).is(http.StatusOK) // members are no domain's
			continue
		}
		if strings.Contains(op.path, "{token}") {
			w.do(op.method, path, body, restricted).problem(http.StatusForbidden, "token-restricted")
			continue
		}
		w.do(op.method, path, body, restricted).problem(http.StatusForbidden, "domain-not-allowed")
	}
	for _, ref := range []string{others.domain.ID, "OTHERS.example.com"} {
		for _, call := range []struct{ method, path string }{{"GET", "/api/domains/%s"}, {"DELETE", "/api/domains/%s"}, {"POST", "/api/domains/%s/verify"},
			{"GET", "/api/jobs?domain=%s"}, {"GET", "/api/certificates?domain=%s"}, {"GET", "/api/events?domain=%s"}, {"GET", "/api/audit-logs?entity=%s"}} {
			a := w.do(call.method, fmt.Sprintf(call.path, ref), nil, restricted).problem(403, "domain-not-allowed")
			if !strings.Contains(a.string("detail"), others.domain.ID) || !strings.Contains(a.string("detail"), ref) {
				t.Errorf("%s %s: detail %q names not %s and %s", call.method, call.path, a.string("detail"), ref, others.domain.ID)
			}
		}
	}
	for id, code := range map[string]string{others.job.ID: "domain-not-allowed", others.certificate.ID: "domain-not-allowed", others.token.ID: "token-restricted", others.webhook.ID: "token-restricted"} {
		w.do("GET", "/api/audit-logs?entity="+id, nil, restricted).problem(403, code)
		w.do("GET", "/api/audit-logs/export?entity="+id, nil, restricted).problem(403, code)
	}
	for _, id := range []string{mine.domain.ID, mine.job.ID, mine.certificate.ID, mine.token.ID, controlplane.NewID(controlplane.PrefixDomain), controlplane.NewID(controlplane.PrefixJob)} {
		w.do("GET", "/api/audit-logs?entity="+id, nil, restricted).is(200)
	}
	w.do("GET", "/api/domains/nowhere.example.com", nil, restricted).problem(404, "not-found")
	w.do("GET", "/api/domains/"+controlplane.NewID(controlplane.PrefixDomain), nil, restricted).problem(404, "not-found")
	w.do("POST", "/api/domains", map[string]any{"name": "new.example.com"}, restricted).problem(403, "token-restricted")
	w.do("POST", "/api/tokens", map[string]any{"name": "x", "scopes": []string{"domains:read"}}, restricted).problem(422, "domains-exceed")
	w.do("POST", "/api/tokens", map[string]any{"name": "x", "scopes": []string{"domains:read"}, "domain_ids": []string{others.domain.ID}}, restricted).problem(422, "domains-exceed")

	for path, want := range map[string][]string{
		"/api/domains":      {mine.domain.ID},
		"/api/jobs":         {mine.job.ID},
		"/api/certificates": {mine.certificate.ID},
	} {
		if got := w.do("GET", path, nil, restricted).is(200).ids(); !slices.Equal(got, want) {
			t.Errorf("%s lists %v, want %v", path, got, want)
		}
	}
	tokens := w.do("GET", "/api/tokens", nil, restricted).is(200).ids()
	if !slices.Contains(tokens, mine.token.ID) || slices.Contains(tokens, others.token.ID) || len(tokens) != 2 {
		t.Errorf("tokens %v", tokens)
	}
	for _, op := range w.secured() {
		if !strings.Contains(op.path, "{") || op.method == http.MethodDelete || op.ofTheWhole() {
			continue
		}
		path, body := op.request(mine)
		if a := w.do(op.method, path, body, restricted); a.status == 404 || a.status == 403 {
			t.Errorf("%s: %d on its own: %s", op.id, a.status, a.body)
		}
	}
	// By name, and one that is made with it.
	w.do("GET", "/api/domains/MINE.example.com.", nil, restricted).is(200)
	a := w.do("POST", "/api/tokens", map[string]any{"name": "x", "scopes": []string{"domains:read"}, "domain_ids": []string{"Mine.example.com"}}, restricted).is(201)
	w.do("GET", "/api/domains", nil, as(a.string("token"))).is(200)
	w.do("DELETE", "/api/tokens/"+a.string("id"), nil, restricted).is(204)
	w.do("GET", "/api/domains", nil, as(a.string("token"))).problem(401, "token-invalid")
}
