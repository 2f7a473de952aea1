package api

import (
	"errors"
	"fmt"
	"math/rand/v2"
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
	delegation  *controlplane.Delegation // that the domain uses; it is not pinned
	pinned      *controlplane.Delegation // without a domain
	job         *controlplane.Job
	certificate *controlplane.Certificate
	token       *controlplane.Token
	owner       *controlplane.Member
	member      *controlplane.Member
	invitation  *controlplane.Invitation
	webhook     *controlplane.Webhook
	delivery    *controlplane.Delivery
	connection  *controlplane.Connection
	acmedns     *controlplane.ACMEDNSAccount
	key         *controlplane.ACMEDNSKey
	session     *controlplane.Session // of the owner, who is signed in by the cookie of another one
	cookie      option
}

func (w *world) newEstate(org, name string) estate {
	w.t.Helper()
	e := estate{domain: w.newDomain(org, name)}
	e.job = w.jobOf(org, e.domain.ID)
	e.certificate = w.newCertificate(e.domain, false)
	ctx, actor := w.t.Context(), controlplane.System("test")
	var errs [11]error
	someone := account()
	e.token, _, errs[0] = w.service.CreateToken(ctx, actor, nil, org,
		lifecycle.NewToken{Name: "estate", Scopes: controlplane.Scopes(),
			DomainIDs: []string{e.domain.ID}})
	e.owner, errs[1] = w.service.AddMember(ctx, actor, org, someone, controlplane.RoleOwner)
	e.member, errs[2] = w.service.AddMember(ctx, actor, org, account(), controlplane.RoleMember)
	e.invitation, _, errs[3] = w.service.CreateInvitation(ctx, actor, nil, org,
		controlplane.RoleMember, time.Hour)
	e.webhook, _, errs[4] = w.service.CreateWebhook(ctx, actor, org,
		lifecycle.NewWebhook{URL: "https://example.com/hook", Enabled: true})
	e.delegation, errs[6] = w.store.Delegation(ctx, org, name, nil)
	e.pinned, _, errs[7] = w.service.PinDelegation(ctx, actor, org, "pinned."+name, "")
	e.connection, errs[8] = w.service.CreateConnection(ctx, actor, org, newConnection())
	e.acmedns, _, errs[9] = w.service.CreateACMEDNSAccount(ctx, actor, nil, org,
		lifecycle.NewACMEDNSAccount{})
	e.key, _, errs[10] = w.service.CreateACMEDNSKey(ctx, actor, nil, org, "estate", "")
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

// account returns a new GitHub account.
func account() controlplane.GitHubAccount {
	id := rand.Int64N(1 << 50)
	return controlplane.GitHubAccount{ID: id, Login: fmt.Sprintf("user-%d", id)}
}

// request returns a valid request of the operation about e's objects.
func (op *operation) request(e estate) (path string, body any) {
	path = strings.NewReplacer("{domain}", e.domain.ID, "{job}", e.job.ID,
		"{certificate}", e.certificate.ID, "{token}", e.token.ID,
		"{member}", e.member.User.ID, "{invitation}", e.invitation.ID, "{webhook}", e.webhook.ID,
		"{delivery}", e.delivery.ID, "{connection}", e.connection.ID, "{account}", e.acmedns.ID, "{key}", e.key.ID, "{session}", e.session.ID, "{delegation}", op.delegationOf(e).ID).Replace(op.path)
	switch op.id {
	case "getDelegation":
		path += "?name=example.com"
	case "createDomain":
		body = map[string]any{"name": unusedName()}
	case "createDelegation":
		body = map[string]any{"name": unusedName()}
	case "updateDelegation":
		body = map[string]any{"pinned": true}
	case "bulkCreateDomains":
		body = map[string]any{"domains": []any{map[string]any{"name": unusedName()}}}
	case "revokeAllTokens", "endAllSessions":
		body = map[string]any{"keep_current": true}
	case "createOrganization":
		body = map[string]any{"name": "Another Ltd"}
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
	case "planDomainDNS", "planDelegationDNS", "applyDomainDNS", "applyDelegationDNS":
		body = map[string]any{"connection_id": e.connection.ID}
	case "bulkApplyDNS":
		body = map[string]any{"connection_id": e.connection.ID, "domains": []any{e.domain.ID}}
	case "createDNSConnection":
		body = map[string]any{"type": "rfc2136", "name": "another", "credentials": credentials()}
	case "updateDNSConnection":
		body = map[string]any{"name": "changed", "credentials": credentials()}
	case "createACMEDNSAccount":
		body = map[string]any{"description": "another"}
	case "updateACMEDNSAccount":
		body = map[string]any{"description": "changed"}
	case "createACMEDNSKey":
		body = map[string]any{"name": "another"}
	case "updateWebhook":
		body = map[string]any{"description": "changed"}
	case "redeliverWebhookRange":
		body = map[string]any{"since": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}
	}
	return path, body
}

// delegationOf returns the delegation of e that a valid request of the operation is about.
func (op *operation) delegationOf(e estate) *controlplane.Delegation {
	if op.id == "deleteDelegation" {
		return e.pinned
	}
	return e.delegation
}

// caller returns the caller of the operation: other or, if the operation accepts only sessions, the
// owner of e.
func (op *operation) caller(e estate, other option) option {
	if op.session {
		return e.cookie
	}
	return other
}

// unusedName returns an unused domain name.
func unusedName() string {
	return strings.TrimPrefix(controlplane.NewID("new"), "new_") + ".example.org"
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

// newTokenElsewhere creates a token in a new organization.
func (w *world) newTokenElsewhere(scopes []controlplane.Scope) string {
	return w.newToken(w.newOrg("Elsewhere"), lifecycle.NewToken{Scopes: scopes})
}

// A token that is restricted to some domains cannot access the others, by ID or name, in a path or
// a filter. TestAccess… call all operations.
func TestRestrictedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, others := w.newEstate(w.org, "mine.example.com"), w.newEstate(w.org, "others.example.com")
	restricted := as(w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		DomainIDs: []string{mine.domain.ID}}))

	for _, ref := range []string{others.domain.ID, "OTHERS.example.com"} {
		for _, call := range []struct{ method, path string }{{"GET", "/api/domains/%s"},
			{"DELETE", "/api/domains/%s"}, {"POST", "/api/domains/%s/verify"},
			{"GET", "/api/jobs?domain=%s"}, {"GET", "/api/certificates?domain=%s"},
			{"GET", "/api/events?domain=%s"}, {"GET", "/api/audit-logs?entity=%s"}} {
			a := w.do(call.method, fmt.Sprintf(call.path, ref), nil, restricted).problem(403,
				"domain-not-allowed")
			if !strings.Contains(a.string("detail"), others.domain.ID) ||
				!strings.Contains(a.string("detail"), ref) {
				t.Errorf("%s %s: detail %q names not %s and %s", call.method, call.path,
					a.string("detail"), ref, others.domain.ID)
			}
		}
	}
	for id, code := range map[string]string{others.job.ID: "domain-not-allowed",
		others.certificate.ID: "domain-not-allowed", others.token.ID: "token-restricted",
		others.webhook.ID: "token-restricted"} {
		w.do("GET", "/api/audit-logs?entity="+id, nil, restricted).problem(403, code)
		w.do("GET", "/api/audit-logs/export?entity="+id, nil, restricted).problem(403, code)
	}
	for _, id := range []string{mine.domain.ID, mine.job.ID, mine.certificate.ID, mine.token.ID,
		controlplane.NewID(controlplane.PrefixDomain), controlplane.NewID(controlplane.PrefixJob)} {
		w.do("GET", "/api/audit-logs?entity="+id, nil, restricted).is(200)
	}
	w.do("GET", "/api/delegation?name=Mine.example.com", nil, restricted).is(200)
	w.do("GET", "/api/delegation?name=Others.example.com", nil, restricted).problem(403,
		"domain-not-allowed")
	w.do("GET", "/api/delegation?name=nowhere.example.com", nil, restricted).problem(403,
		"token-restricted")
	w.do("GET", "/api/domains/nowhere.example.com", nil, restricted).problem(404, "not-found")
	w.do("GET", "/api/domains/"+controlplane.NewID(controlplane.PrefixDomain), nil,
		restricted).problem(404, "not-found")
	w.do("POST", "/api/domains", map[string]any{"name": "new.example.com"}, restricted).problem(403,
		"token-restricted")
	w.do("POST", "/api/tokens", map[string]any{"name": "x", "scopes": []string{"domains:read"}},
		restricted).problem(422, "domains-exceed")
	w.do("POST", "/api/tokens", map[string]any{"name": "x", "scopes": []string{"domains:read"},
		"domain_ids": []string{others.domain.ID}}, restricted).problem(422, "domains-exceed")

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
	if !slices.Contains(tokens, mine.token.ID) || slices.Contains(tokens, others.token.ID) ||
		len(tokens) != 2 {
		t.Errorf("tokens %v", tokens)
	}
	// By name, including a domain that was added with the name.
	w.do("GET", "/api/domains/MINE.example.com.", nil, restricted).is(200)
	a := w.do("POST", "/api/tokens", map[string]any{"name": "x", "scopes": []string{"domains:read"},
		"domain_ids": []string{"Mine.example.com"}}, restricted).is(201)
	w.do("GET", "/api/domains", nil, as(a.string("token"))).is(200)
	w.do("DELETE", "/api/tokens/"+a.string("id"), nil, restricted).is(204)
	w.do("GET", "/api/domains", nil, as(a.string("token"))).problem(401, "token-invalid")
}
