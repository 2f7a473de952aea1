package api

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// CreateOrganization implements POST /api/organizations.
func (a *API) CreateOrganization(
	ctx context.Context, r CreateOrganizationRequestObject,
) (CreateOrganizationResponseObject, error) {
	p := principalOf(ctx)
	o, err := a.lifecycle.CreateOwnOrganization(ctx, p.actor, &p.session.User, r.Body.Name)
	if err != nil {
		return nil, err
	}
	return CreateOrganization201JSONResponse(organizationBody(o)), nil
}

// GetOrganization implements GET /api/organization.
func (a *API) GetOrganization(
	ctx context.Context, _ GetOrganizationRequestObject,
) (GetOrganizationResponseObject, error) {
	o, err := a.store.Organization(ctx, principalOf(ctx).org())
	if err != nil {
		return nil, err
	}
	return GetOrganization200JSONResponse(organizationBody(o)), nil
}

// UpdateOrganization implements PATCH /api/organization.
func (a *API) UpdateOrganization(
	ctx context.Context, r UpdateOrganizationRequestObject,
) (UpdateOrganizationResponseObject, error) {
	p := principalOf(ctx)
	if p.restricted() {
		return nil, errRestricted("rename the organization")
	}
	o, err := a.lifecycle.RenameOrganization(ctx, p.actor, p.org(), r.Body.Name)
	if err != nil {
		return nil, err
	}
	return UpdateOrganization200JSONResponse(organizationBody(o)), nil
}

// DeleteOrganization implements DELETE /api/organization.
func (a *API) DeleteOrganization(
	ctx context.Context, r DeleteOrganizationRequestObject,
) (DeleteOrganizationResponseObject, error) {
	p := principalOf(ctx)
	if p.restricted() {
		return nil, errRestricted("delete the organization")
	}
	if err := a.lifecycle.DeleteOrganization(ctx, p.actor, p.org(), r.Params.Confirm); err != nil {
		return nil, err
	}
	return DeleteOrganization202Response{}, nil
}

// GetUsage implements GET /api/organization/usage.
func (a *API) GetUsage(
	ctx context.Context, _ GetUsageRequestObject,
) (GetUsageResponseObject, error) {
	org := principalOf(ctx).org()
	o, err := a.store.Organization(ctx, org)
	if err != nil {
		return nil, err
	}
	n, err := a.store.Counts(ctx, o, a.now())
	if err != nil {
		return nil, err
	}
	body := organizationBody(o)
	return GetUsage200JSONResponse{Domains: body.Domains, Delegations: body.Delegations,
		Webhooks: Usage{Used: n.Webhooks, Limit: o.Tier.Webhooks()}, Members: n.Members,
		Tokens:          n.Tokens,
		Certificates30d: n.Certificates, AuditRetentionDays: int(o.Tier.LogKept().Hours() / 24),
		RateLimit: body.RateLimit}, nil
}

// organizationBody converts an organization to its API representation.
func organizationBody(o *controlplane.Organization) Organization {
	limit := o.Tier.RateLimit()
	return Organization{
		Id: o.ID, Name: o.Name, Tier: Tier(o.Tier),
		Domains:     Usage{Used: o.Domains, Limit: o.MaxDomains()},
		Delegations: Usage{Used: o.Delegations, Limit: o.MaxDelegations()},
		RateLimit:   RateLimit{Requests: limit.Calls, WindowSeconds: int(limit.Window.Seconds())},
		CreatedAt:   o.CreatedAt.UTC(),
	}
}
