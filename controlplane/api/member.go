package api

import (
	"context"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// GitHub finds accounts (package github).
type GitHub interface {
	// LookUp returns the account of a login. It returns KindInvalid "login-unknown" or
	// KindUnavailable "github-unavailable".
	LookUp(ctx context.Context, login string) (controlplane.GitHubAccount, error)
}

// ListMembers implements GET /api/members.
func (a *API) ListMembers(
	ctx context.Context, r ListMembersRequestObject,
) (ListMembersResponseObject, error) {
	p := principalOf(ctx)
	l := listing{Operation: "listMembers", Org: p.org()}
	after, err := a.position(l, r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	members, next, err := a.store.ListMembers(ctx, p.org(), after, limitOf(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	data := make([]Member, len(members))
	for i := range members {
		data[i] = a.memberBody(&members[i])
	}
	return ListMembers200JSONResponse{Data: data, HasMore: next != nil,
		NextCursor: a.next(l, next)}, nil
}

// AddMember implements POST /api/members.
func (a *API) AddMember(
	ctx context.Context, r AddMemberRequestObject,
) (AddMemberResponseObject, error) {
	p := principalOf(ctx)
	if p.restricted() {
		return nil, errRestricted("invite a person")
	}
	if a.lookups == nil {
		return nil, &controlplane.Error{Kind: controlplane.KindConflict,
			Code:    "github-not-configured",
			Message: "GitHub is not configured in this installation."}
	}
	if err := p.grant.CanGrantRole(controlplane.Role(r.Body.Role)); err != nil {
		return nil, err // before the lookup at GitHub
	}
	account, err := a.lookups.LookUp(ctx, p.org(), p.person(), r.Body.Login)
	if err != nil {
		return nil, err
	}
	if err := a.replacedMember(ctx, r.Params.Replacing); err != nil {
		return nil, err
	}
	m, err := a.lifecycle.InviteMember(ctx, p.actor, p.grant, p.org(), account,
		controlplane.Role(r.Body.Role))
	if err != nil {
		return nil, err
	}
	return AddMember201JSONResponse{Body: a.memberBody(m),
		Headers: AddMember201ResponseHeaders{Location: "/api/members/" + m.User.ID}}, nil
}

// GetMember implements GET /api/members/{member}.
func (a *API) GetMember(
	ctx context.Context, r GetMemberRequestObject,
) (GetMemberResponseObject, error) {
	m, err := a.member(ctx, r.Member)
	if err != nil {
		return nil, err
	}
	return GetMember200JSONResponse(a.memberBody(m)), nil
}

// UpdateMember implements PATCH /api/members/{member}.
func (a *API) UpdateMember(
	ctx context.Context, r UpdateMemberRequestObject,
) (UpdateMemberResponseObject, error) {
	p := principalOf(ctx)
	if p.restricted() {
		return nil, errRestricted("change a role")
	}
	if !controlplane.IsLogin(r.Member) {
		return nil, controlplane.NotFound("member", r.Member)
	}
	m, err := a.lifecycle.SetRole(ctx, p.actor, p.grant, p.org(), r.Member,
		controlplane.Role(r.Body.Role), r.Params.Tokens != nil)
	if err != nil {
		return nil, err
	}
	return UpdateMember200JSONResponse(a.memberBody(m)), nil
}

// RemoveMember implements DELETE /api/members/{member}. A signed-in user can leave.
func (a *API) RemoveMember(
	ctx context.Context, r RemoveMemberRequestObject,
) (RemoveMemberResponseObject, error) {
	p := principalOf(ctx)
	if p.restricted() {
		return nil, errRestricted("remove a member")
	}
	by := p.grant
	if p.is(r.Member) {
		by = nil
	} else if err := p.need(controlplane.ScopeMembersWrite); err != nil {
		return nil, err
	}
	if !controlplane.IsLogin(r.Member) {
		return nil, controlplane.NotFound("member", r.Member)
	}
	if err := a.lifecycle.RemoveMember(ctx, p.actor, by, p.org(), r.Member,
		r.Params.Tokens != nil); err != nil {
		return nil, err
	}
	return RemoveMember204Response{}, nil
}

// TransferOwnership implements POST /api/organization/transfer.
func (a *API) TransferOwnership(
	ctx context.Context, r TransferOwnershipRequestObject,
) (TransferOwnershipResponseObject, error) {
	p, from := principalOf(ctx), deref(r.Body.From)
	if err := p.grant.CanTransferOwnership(); err != nil {
		return nil, err
	}
	if from == "" {
		from = p.session.User.ID
	}
	m, err := a.lifecycle.TransferOwnership(ctx, p.actor, p.grant, p.org(), from, r.Body.To,
		r.Params.Tokens != nil)
	if err != nil {
		return nil, err
	}
	return TransferOwnership200JSONResponse(a.memberBody(m)), nil
}

// person returns the ID of the user who acts: the signed-in user, or the creator of the token.
// It is empty without a user.
func (p principal) person() string {
	switch {
	case p.session != nil:
		return p.session.User.ID
	case controlplane.IsID(controlplane.PrefixUser, p.token.CreatedBy):
		return p.token.CreatedBy
	}
	return ""
}

// is reports whether ref, an ID or login, names the signed-in user.
func (p principal) is(ref string) bool {
	return p.session != nil && (ref == p.session.User.ID || p.session.User.Login != "" &&
		strings.EqualFold(ref, p.session.User.Login))
}

// member returns a member by ID or login. IDs have the form of a login, too.
func (a *API) member(ctx context.Context, ref string) (*controlplane.Member, error) {
	if !controlplane.IsLogin(ref) {
		return nil, controlplane.NotFound("member", ref)
	}
	return a.store.Member(ctx, principalOf(ctx).org(), ref)
}

// memberBody converts a member to its API representation.
func (a *API) memberBody(m *controlplane.Member) Member {
	return Member{Id: m.User.ID, Login: m.User.Login, Name: m.User.Name, Role: Role(m.Role),
		State:  MemberState(m.State(a.now())),
		Joined: m.User.JoinedAt != nil, InvitedBy: m.InvitedBy, ExpiresAt: timeOrNull(m.ExpiresAt),
		CreatedAt: m.Since.UTC()}
}
