package api

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// ListInvitations implements GET /api/invitations.
func (a *API) ListInvitations(
	ctx context.Context, r ListInvitationsRequestObject,
) (ListInvitationsResponseObject, error) {
	p := principalOf(ctx)
	l := listing{Operation: "listInvitations", Org: p.org()}
	after, err := a.position(l, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	open, next, err := a.store.ListInvitations(ctx, p.org(), a.now(), after,
		limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	data := make([]Invitation, len(open))
	for i := range open {
		data[i] = invitationBody(&open[i])
	}
	return ListInvitations200JSONResponse{Data: data, HasMore: next != nil,
		NextCursor: a.next(l, next)}, nil
}

// CreateInvitation implements POST /api/invitations.
func (a *API) CreateInvitation(
	ctx context.Context, r CreateInvitationRequestObject,
) (CreateInvitationResponseObject, error) {
	p := principalOf(ctx)
	if p.restricted() {
		return nil, errRestricted("invite a person")
	}
	if err := a.replacedInvitation(ctx, r.Params.Replacing); err != nil {
		return nil, err
	}
	life := time.Duration(deref(r.Body.ExpiresInSeconds)) * time.Second
	invitation, secret, err := a.lifecycle.CreateInvitation(ctx, p.actor, p.grant, p.org(),
		controlplane.Role(r.Body.Role), life)
	if err != nil {
		return nil, err
	}
	i := invitationBody(invitation)
	return CreateInvitation201JSONResponse{
		Body: InvitationWithLink{Link: a.config.PublicURL + controlplane.InvitationPath(secret),
			Id: i.Id, Role: i.Role, ExpiresAt: i.ExpiresAt,
			CreatedBy: i.CreatedBy, CreatedAt: i.CreatedAt},
		Headers: CreateInvitation201ResponseHeaders{Location: "/api/invitations/" + i.Id,
			CacheControl: "no-store"},
	}, nil
}

// RevokeInvitation implements DELETE /api/invitations/{invitation}.
func (a *API) RevokeInvitation(
	ctx context.Context, r RevokeInvitationRequestObject,
) (RevokeInvitationResponseObject, error) {
	p := principalOf(ctx)
	if p.restricted() {
		return nil, errRestricted("revoke an invitation")
	}
	if !controlplane.IsID(controlplane.PrefixInvitation, r.Invitation) {
		return nil, controlplane.NotFound("invitation", r.Invitation)
	}
	if err := a.lifecycle.RevokeInvitation(ctx, p.actor, p.grant, p.org(),
		r.Invitation); err != nil {
		return nil, err
	}
	return RevokeInvitation204Response{}, nil
}

// invitationBody converts an invitation to its API representation.
func invitationBody(i *controlplane.Invitation) Invitation {
	return Invitation{Id: i.ID, Role: Role(i.Role), ExpiresAt: i.ExpiresAt.UTC(),
		CreatedBy: i.CreatedBy, CreatedAt: i.CreatedAt.UTC()}
}
