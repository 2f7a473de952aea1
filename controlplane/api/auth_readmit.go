package api

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// readmit authenticates a call that is held open again, with one indexed query, and returns the
// error that a new call would get: the secret was rotated, the token revoked, the session ended, a
// scope or role removed. The call continues with the current principal. A session that switched to
// another organization no longer belongs to this call.
func (a *API) readmit(ctx context.Context, c *call) error {
	find := a.tokenPrincipal
	if c.principal.session != nil {
		find = a.sessionPrincipal
	}
	p, err := find(ctx, c.credential)
	if err != nil {
		return err
	}
	if p.orgID != c.principal.orgID {
		return unauthorized("session-ended",
			"The session switched to another organization during the call.")
	}
	if err := p.mayCall(c.op); err != nil {
		return err
	}
	c.become(p)
	return nil
}

// stillAdmitted is readmit for responses that have started. While the database is unavailable they
// continue until the last known expiry of the credential.
func (a *API) stillAdmitted(ctx context.Context, c *call) bool {
	switch err := a.readmit(ctx, c); {
	case err == nil:
		return true
	case controlplane.IsKind(err, controlplane.KindUnauthorized),
		controlplane.IsKind(err, controlplane.KindForbidden):
		return false
	}
	ends := c.principal.ends()
	return ends == nil || a.now().Before(*ends)
}

// ends returns when the credential expires, nil without an expiry.
func (p principal) ends() *time.Time {
	switch {
	case p.session != nil:
		return &p.session.ExpiresAt
	case p.token.SecretUntil == nil, p.token.ExpiresAt != nil &&
		p.token.ExpiresAt.Before(*p.token.SecretUntil):
		return p.token.ExpiresAt
	}
	return p.token.SecretUntil
}
