package api

import (
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// caller is one kind of caller.
type caller struct {
	name   string
	make   func(w *world, in tenancy) option // a new one, in an organization
	option option                            // the one of the shared organization

	// the result of each call, as "401 token-missing"; none: it depends on the operation
	refused    []string
	session    bool // it is signed in, rather than a token
	grant      *controlplane.Grant
	restricted bool // to one domain
}

// want returns the expected result of the caller's call about its own organization and domain.
func (c *caller) want(t testing.TB, op *operation) want {
	t.Helper()
	missing := "403 scope-missing"
	if c.session {
		missing = "403 role-missing"
	}
	rights := slices.Contains(grantsRights, op.id)
	switch {
	case c.refused != nil:
		return refused(c.refused...)
	case op.session && !c.session:
		return refused("403 session-required")
	case op.session: // about people, and not their role
		return want{success: true, rights: true, problems: []string{missing, "404 not-found"}}
	case c.session && op.self && !c.grant.Allows(op.scope):
		return want{success: true, problems: []string{missing}}
	case !c.grant.Allows(op.scope):
		return refused(missing)
	case c.restricted:
		return op.restricted(t)
	}
	return want{success: true, rights: rights}
}

// restricted returns the result of the operation about a restricted token's own domain.
func (op *operation) restricted(t testing.TB) want {
	t.Helper()
	x := op.outside(t)
	if params := op.params(); len(params) > 0 && !slices.Contains(notRestricted, op.id) &&
		slices.Contains([]string{"domain", "delegation", "job", "certificate", "token"},
			params[0]) {
		return want{success: true, rights: slices.Contains(grantsRights, op.id)}
	}
	return x
}

// narrowed creates a token with all scopes that is restricted to the estate's domain.
func narrowed(w *world, in tenancy) option {
	return as(w.newToken(in.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		DomainIDs: []string{in.e.domain.ID}}))
}

func tokenWith(scopes ...controlplane.Scope) func(*world, tenancy) option {
	return func(w *world, in tenancy) option {
		return as(w.newToken(in.org,
			lifecycle.NewToken{Scopes: scopes}))
	}
}

// madeToken creates a token with the API, as one that can be revoked with it, and returns its ID
// and secret.
func (w *world) madeToken(in tenancy) (admin option, id, secret string) {
	w.t.Helper()
	admin = tokenWith(controlplane.Scopes()...)(w, in)
	a := w.do("POST", "/api/tokens", map[string]any{"name": "walk",
		"scopes": controlplane.Scopes()}, admin).is(201)
	return admin, a.string("id"), a.string("token")
}

// rotatedToken rotates a token and returns its previous secret.
func rotatedToken(overlapSeconds int) func(*world, tenancy) option {
	return func(w *world, in tenancy) option {
		admin, id, secret := w.madeToken(in)
		w.do("POST", "/api/tokens/"+id+"/rotate", map[string]any{"overlap_seconds": overlapSeconds},
			admin).is(200)
		return as(secret)
	}
}

// newCallers creates one of each kind of caller in the organization.
func (w *world) newCallers(in tenancy) []*caller {
	w.t.Helper()
	full := &controlplane.Grant{Scopes: controlplane.Scopes()}
	reads := slices.DeleteFunc(controlplane.Scopes(),
		func(s controlplane.Scope) bool { return !strings.HasSuffix(string(s), ":read") })
	fixed := func(o option) func(*world,
		tenancy) option {
		return func(*world, tenancy) option { return o }
	}
	callers := []*caller{
		{name: "nobody", make: fixed(anonymous), refused: []string{"401 token-missing"}},
		{name: "a malformed token", make: fixed(as("dcv_short")),
			refused: []string{"401 token-invalid"}},
		{name: "an unknown token", make: fixed(as(controlplane.NewSecret())),
			refused: []string{"401 token-invalid"}},
		{name: "an unknown session", make: fixed(cookie(controlplane.NewRandomSecret())),
			refused: []string{"401 session-ended"}},
		{name: "an expired token", make: func(w *world, in tenancy) option {
			_, id, secret := w.madeToken(in)
			w.exec(`UPDATE api_tokens SET expires_at = now() - interval '1 second' WHERE id = $1`,
				id)
			return as(secret)
		}, refused: []string{"401 token-expired"}},
		{name: "a revoked token", make: func(w *world, in tenancy) option {
			admin, id, secret := w.madeToken(in)
			w.do("DELETE", "/api/tokens/"+id, nil, admin).is(204)
			return as(secret)
		}, refused: []string{"401 token-invalid"}},
		{name: "a previous secret after its overlap", make: rotatedToken(0),
			refused: []string{"401 token-rotated", "401 token-invalid"}},
		{name: "a previous secret within its overlap", make: rotatedToken(3600), grant: full},
		{name: "a removed member", make: func(w *world, in tenancy) option {
			p := w.person(in.org, controlplane.RoleMember)
			w.do("DELETE", "/api/members/"+p.id, nil,
				tokenWith(controlplane.Scopes()...)(w, in)).is(204)
			return p.cookie
		}, refused: []string{"401 session-ended"}},
		{name: "an expired session", make: func(w *world, in tenancy) option {
			p := w.person(in.org, controlplane.RoleOwner)
			w.exec(`UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = $1`, p.id)
			return p.cookie
		}, refused: []string{"401 session-ended"}},
		{name: "a token with all scopes", make: tokenWith(controlplane.Scopes()...), grant: full},
		{name: "a read-only token", make: tokenWith(reads...),
			grant: &controlplane.Grant{Scopes: reads}},
		{name: "a restricted token", make: narrowed, grant: full, restricted: true},
	}
	for _, s := range controlplane.Scopes() {
		callers = append(callers, &caller{name: "a token with " + string(s), make: tokenWith(s),
			grant: &controlplane.Grant{Scopes: []controlplane.Scope{s}}})
	}
	for _, role := range []controlplane.Role{controlplane.RoleMember, controlplane.RoleAdmin,
		controlplane.RoleOwner} {
		callers = append(callers, &caller{name: "a session as " + string(role), session: true,
			grant: role.Grant(),
			make:  func(w *world, in tenancy) option { return w.person(in.org, role).cookie }})
	}
	callers = append(callers, &caller{name: "the estate's owner", session: true,
		grant: controlplane.RoleOwner.Grant(),
		make:  func(_ *world, in tenancy) option { return in.e.cookie }})
	for _, c := range callers {
		c.option = c.make(w, in)
	}
	return callers
}
