package lifecycle

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// lockGrantor locks the organization and checks that the caller still has the access of its grant:
// a request that started before its member was removed, or its token revoked, must not create a
// credential or change a member after that. by is nil for the operator. It returns KindUnauthorized
// if the access changed.
func lockGrantor(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, by *controlplane.Grant,
	orgID string,
) (*controlplane.Organization, error) {
	org, err := t.LockOrganization(ctx, orgID)
	if err != nil || by == nil {
		return org, err
	}
	switch actor.Type {
	case controlplane.ActorUser:
		m, err := t.Member(ctx, orgID, actor.ID)
		if controlplane.IsKind(err, controlplane.KindNotFound) || err == nil &&
			(!m.Active() || m.Role != by.Role) {
			err = &controlplane.Error{Kind: controlplane.KindUnauthorized,
				Code:    "session-ended",
				Message: "Your role in this organization changed, or your membership ended."}
		}
		return org, err
	case controlplane.ActorToken:
		_, err := t.Token(ctx, orgID, actor.ID)
		if controlplane.IsKind(err, controlplane.KindNotFound) {
			err = &controlplane.Error{Kind: controlplane.KindUnauthorized,
				Code: "token-invalid", Message: "The token was revoked."}
		}
		return org, err
	}
	return org, nil
}
