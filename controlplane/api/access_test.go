package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// outsideOfDomains has each path parameter of the operations that need authentication, with the
// code of the 403 for a token that is restricted to other domains than the object's. It is empty
// for objects of the whole organization, which such a token can read but not change.
var outsideOfDomains = map[string]string{
	"domain":      "domain-not-allowed",
	"delegation":  "domain-not-allowed",
	"job":         "domain-not-allowed",
	"certificate": "domain-not-allowed",
	"token":       "token-restricted",
	"webhook":     "token-restricted",
	"delivery":    "token-restricted",
	"connection":  "token-restricted",
	"account":     "token-restricted",
	"key":         "token-restricted",
	"member":      "",
	"invitation":  "",
}

// notRestricted has the operations that a token that is restricted to some domains cannot use even
// for their objects.
var notRestricted = []string{"updateDelegation", "deleteDelegation"}

// grantsRights has the operations that grant or remove rights of a person or token. A caller with
// the scope can still be rejected (403 or 422) because it lacks those rights.
var grantsRights = []string{"createToken", "updateToken", "deleteToken", "rotateToken",
	"revokeAllTokens",
	"addMember", "updateMember", "removeMember", "transferOwnership", "createInvitation",
	"revokeInvitation"}

// params returns the names of the path's parameters.
func (op *operation) params() []string {
	var names []string
	for _, part := range strings.Split(op.path, "/") {
		if strings.HasPrefix(part, "{") {
			names = append(names, strings.Trim(part, "{}"))
		}
	}
	return names
}

// all returns the contract's operations in a stable order.
func (w *world) all() []*operation {
	ops := w.secured()
	for _, op := range w.api.operations {
		if !op.secured {
			ops = append(ops, op)
		}
	}
	slices.SortFunc(ops, func(x, y *operation) int { return strings.Compare(x.id, y.id) })
	return ops
}

// in returns the world for a subtest.
func (w *world) in(t *testing.T) *world {
	sub := *w
	sub.t = t
	return &sub
}

// tenancy is an organization with one of everything.
type tenancy struct {
	org string
	e   estate
}

func (w *world) newTenancy(domain string) tenancy {
	w.t.Helper()
	org := w.newOrg("Test") // as request's deleteOrganization confirms
	return tenancy{org, w.newEstate(org, domain)}
}

// settle prepares the estate's objects for the operation: a job to be retried has failed; otherwise
// no work is open and the certificate is the domain's current one.
func (w *world) settle(op *operation, org string, e estate) {
	w.t.Helper()
	if op.id == "retryJob" {
		w.exec(`UPDATE jobs SET status = 'failed', dead_lettered_at = now() WHERE org_id = $1`, org)
		return
	}
	w.exec(`UPDATE jobs SET status = 'succeeded' WHERE org_id = $1`, org)
	w.exec(`UPDATE domains SET certificate_id = $2, status = 'active' WHERE org_id = $1`, org,
		e.certificate.ID)
}

// TestAccessOfCallers calls every operation with each kind of caller. The result follows from the
// contract: how the operation authenticates, its scope, x-self.
func TestAccessOfCallers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shared := w.newTenancy("shared.example.com")
	callers := w.newCallers(shared)
	before := postgrestest.RowsOf(t, w.dsn, shared.org)
	t.Run("walk", func(t *testing.T) {
		for _, op := range w.all() {
			t.Run(op.id, func(t *testing.T) {
				t.Parallel()
				w.in(t).walkCallers(op, shared, callers)
			})
		}
	})
	if diff := postgrestest.RowsOf(t, w.dsn, shared.org).Diff(before); diff != "" {
		t.Errorf("calls that only read, or were refused, changed rows:\n%s", diff)
	}
}

func (w *world) walkCallers(op *operation, shared tenancy, callers []*caller) {
	if !op.secured {
		if len(op.params()) > 0 {
			return // files and pages by name; TestAccessOfPlaces sends ids
		}
		for _, c := range callers {
			w.do(op.method, op.path, nil, anonymous, c.option).is(http.StatusOK)
		}
		return
	}
	allowed := 0
	for _, c := range callers {
		at, option := shared, c.option
		want := c.want(w.t, op)
		if want.success && op.method != http.MethodGet { // it will change what it names
			at = w.newTenancy("own.example.com")
			w.settle(op, at.org, at.e)
			option = c.make(w, at)
		}
		path, body := op.request(at.e)
		a := w.do(op.method, path, body, anonymous, option)
		if err := want.check(a); err != nil {
			w.t.Errorf("%s as %s: %v", op.id, c.name, err)
		}
		op.namesScope(a, c)
		org, wantOrg := a.header.Get("DCVaaS-Organization"), at.org
		if a.status == http.StatusUnauthorized {
			wantOrg = ""
		}
		if org != wantOrg {
			w.t.Errorf("%s as %s: DCVaaS-Organization %q, want %q", op.id, c.name, org, wantOrg)
		}
		if a.status < http.StatusBadRequest {
			allowed++
		}
	}
	if allowed == 0 {
		w.t.Errorf("%s: no caller is allowed. Its request in operation.request (tenant_test.go) must be one that works for an owner's session or a token with all scopes", op.id)
	}
}

// namesScope fails the test if a response about a missing scope does not name it.
func (op *operation) namesScope(a *answer, c *caller) {
	a.t.Helper()
	code, scope := a.json["code"], string(op.scope)
	if code != "scope-missing" && code != "role-missing" {
		return
	}
	if !strings.Contains(a.string("detail"), scope) || code == "scope-missing" &&
		!strings.Contains(a.string("fix"), scope) {
		a.t.Errorf("%s as %s: the problem does not name %s: %s", op.id, c.name, scope, a.body)
	}
	if got, want := a.header.Get("WWW-Authenticate"), `scope="`+scope+
		`"`; code == "scope-missing" && !strings.Contains(got, want) {
		a.t.Errorf("%s as %s: WWW-Authenticate %q, want it to have %s", op.id, c.name, got, want)
	}
}

// want is the expected result of a call.
type want struct {
	success bool
	// problems are the expected ones, such as "403 scope-missing".
	problems []string
	// rights means that a 403 or 422 that is not about the caller's scopes is also expected: the
	// call grants rights.
	rights bool
}

func refused(problems ...string) want { return want{problems: problems} }

func (x want) check(a *answer) error {
	code, _ := a.json["code"].(string)
	switch {
	case a.status < http.StatusBadRequest && x.success,
		slices.Contains(x.problems, fmt.Sprint(a.status, " ", code)):
		return nil
	case x.rights && (a.status == http.StatusForbidden ||
		a.status == http.StatusUnprocessableEntity) && code != "scope-missing" &&
		code != "role-missing":
		return nil
	}
	expected := slices.Clone(x.problems)
	if x.success {
		expected = append(expected, "success")
	}
	if x.rights {
		expected = append(expected, "a 403 or 422 about rights")
	}
	hint := ""
	if x.success && !x.rights {
		hint = " If the caller also needs the rights that the call grants, name the operation in grantsRights (access_test.go)."
	}
	return fmt.Errorf("status %d %s, want %s.%s\n%s", a.status, code,
		strings.Join(expected, " or "), hint, a.body)
}

// TestAccessOutsideOfDomains uses a token that is restricted to one of two domains: objects of the
// other domain are rejected, not listed, and not changed. Only the rejection names the domain.
func TestAccessOutsideOfDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	t.Run("walk", func(t *testing.T) {
		for _, op := range w.secured() {
			t.Run(op.id, func(t *testing.T) {
				t.Parallel()
				w.in(t).walkRestricted(op)
			})
		}
	})
}

func (w *world) walkRestricted(op *operation) {
	if op.session {
		return // it takes no token
	}
	own := w.newTenancy("own.example.com")
	other := w.newEstate(own.org, "outside.example.com")
	option := narrowed(w, own)
	rows := postgrestest.RowsOf(w.t, w.dsn, own.org)
	before := rows.Naming(other.domain.ID)
	texts := before.Texts(rows.NotNaming(other.domain.ID))

	path, body := op.request(other)
	a := w.do(op.method, path, body, anonymous, option)
	if err := op.outside(w.t).check(a); err != nil {
		w.t.Errorf("%s of what is outside of the token's domains: %v", op.id, err)
	}
	w.hides(op, a, texts, path, body, other.domain.ID)
	if len(op.params()) > 0 {
		a := w.do(op.method, op.elsewhere(path), body, anonymous, option)
		if err := refused("404 not-found", "403 token-restricted").check(a); err != nil {
			w.t.Errorf("%s of what does not exist: %v", op.id, err)
		}
	}
	w.walkFilters(op, own.e, other, texts, option)
	if diff := postgrestest.RowsOf(w.t, w.dsn,
		own.org).Naming(other.domain.ID).Diff(before); diff != "" {
		w.t.Errorf("%s changed what is outside of the token's domains:\n%s", op.id, diff)
	}
}

// walkFilters uses objects outside a restricted token's domains in each filter. A filter that looks
// up domains rejects them like missing ones.
func (w *world) walkFilters(op *operation, own, other estate, texts []string, option option) {
	for name, p := range op.query {
		if !w.holdsText(op, name, p.schema) || op.method != http.MethodGet {
			continue
		}
		path, _ := op.request(own)
		findsDomains := w.do(op.method, withQuery(path, name, "nowhere.example.com"), nil,
			anonymous, option).status == http.StatusNotFound
		for _, value := range []string{other.domain.ID, other.domain.Name, other.job.ID,
			other.certificate.ID, other.token.ID, other.delegation.ID} {
			to := withQuery(path, name, value)
			a := w.do(op.method, to, nil, anonymous, option)
			w.hides(op, a, texts, to, nil, other.domain.ID)
			// A name is that of the domain's delegation, too.
			domain := value == other.domain.ID && name != "delegation" ||
				value == other.domain.Name
			if domain && findsDomains && a.json["code"] != "domain-not-allowed" {
				w.t.Errorf("%s %s of what is outside of the token's domains: %d %s, want 403 domain-not-allowed", op.method, to, a.status, a.body)
			}
		}
	}
}

// outside returns the result of the operation for an object outside a restricted token's domains.
func (op *operation) outside(t testing.TB) want {
	t.Helper()
	params, rights := op.params(), slices.Contains(grantsRights, op.id)
	switch {
	case len(params) == 0 && op.method == http.MethodGet:
		// what it shows is looked at
		return want{success: true, problems: []string{"403 token-restricted"}}
	case len(params) == 0: // it makes, or changes, something of the whole organization
		return want{problems: []string{"403 token-restricted"}, rights: rights}
	}
	code, ok := outsideOfDomains[params[0]]
	switch {
	case !ok:
		t.Fatalf("%s: add the path parameter {%s} to outsideOfDomains (access_test.go), with the code that a token gets that is restricted to other domains", op.id, params[0])
	case code == "" && op.method == http.MethodGet:
		return want{success: true}
	case code == "", slices.Contains(notRestricted, op.id):
		code = "token-restricted"
	}
	return refused("403 " + code)
}
