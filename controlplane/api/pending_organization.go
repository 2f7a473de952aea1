package api

import (
	"context"
	"errors"
)

var errPendingOrganization = errors.New("not built yet")

func (a *API) ListInvitations(context.Context, ListInvitationsRequestObject) (ListInvitationsResponseObject, error) {
	return nil, errPendingOrganization
}

func (a *API) CreateInvitation(context.Context, CreateInvitationRequestObject) (CreateInvitationResponseObject, error) {
	return nil, errPendingOrganization
}

func (a *API) RevokeInvitation(context.Context, RevokeInvitationRequestObject) (RevokeInvitationResponseObject, error) {
	return nil, errPendingOrganization
}

func (a *API) ListMembers(context.Context, ListMembersRequestObject) (ListMembersResponseObject, error) {
	return nil, errPendingOrganization
}

func (a *API) AddMember(context.Context, AddMemberRequestObject) (AddMemberResponseObject, error) {
	return nil, errPendingOrganization
}

func (a *API) RemoveMember(context.Context, RemoveMemberRequestObject) (RemoveMemberResponseObject, error) {
	return nil, errPendingOrganization
}

func (a *API) GetMember(context.Context, GetMemberRequestObject) (GetMemberResponseObject, error) {
	return nil, errPendingOrganization
}

func (a *API) UpdateMember(context.Context, UpdateMemberRequestObject) (UpdateMemberResponseObject, error) {
	return nil, errPendingOrganization
}

func (a *API) DeleteOrganization(context.Context, DeleteOrganizationRequestObject) (DeleteOrganizationResponseObject, error) {
	return nil, errPendingOrganization
}

func (a *API) UpdateOrganization(context.Context, UpdateOrganizationRequestObject) (UpdateOrganizationResponseObject, error) {
	return nil, errPendingOrganization
}

func (a *API) TransferOwnership(context.Context, TransferOwnershipRequestObject) (TransferOwnershipResponseObject, error) {
	return nil, errPendingOrganization
}

func (a *API) GetUsage(context.Context, GetUsageRequestObject) (GetUsageResponseObject, error) {
	return nil, errPendingOrganization
}
