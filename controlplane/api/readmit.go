package api

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// readmit looks up again, with one indexed query, the credential of a call that is held open, and refuses what a new
// call with it would be refused: the secret was rotated, the token revoked, the session ended, a scope or role taken
// away. The call goes on as what the credential admits to now. A session that switched to another organization is no
// longer this call's.
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
		return unauthorized("session-ended", "The session has switched to another organization since the call began.")
	}
	if err := p.mayCall(c.op); err != nil {
		return err
	}
	c.become(p)
	return nil
}

// stillAdmitted is readmit for responses that have begun. While the database is unavailable they go on, until the
// credential's own end as it was last known.
func (a *API) stillAdmitted(ctx context.Context, c *call) bool {
	switch err := a.readmit(ctx, c); {
	case err == nil:
		return true
	case controlplane.IsKind(err, controlplane.KindUnauthorized), controlplane.IsKind(err, controlplane.KindForbidden):
		return false
	}
	ends := c.principal.ends()
	return ends == nil || a.now().Before(*ends)
}

// ends returns when the credential ends without another act, nil if it does not.
func (p principal) ends() *time.Time {
	switch {
	case p.session != nil:
		return &p.session.ExpiresAt
	case p.token.SecretUntil == nil, p.token.ExpiresAt != nil && p.token.ExpiresAt.Before(*p.token.SecretUntil):
		return p.token.ExpiresAt
	}
	return p.token.SecretUntil
}
