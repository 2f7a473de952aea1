package api

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// GetOrganization implements GET /api/organization.
func (a *API) GetOrganization(ctx context.Context, _ GetOrganizationRequestObject) (GetOrganizationResponseObject, error) {
	o, err := a.store.Organization(ctx, principalOf(ctx).org())
	if err != nil {
		return nil, err
	}
	return GetOrganization200JSONResponse(organizationBody(o)), nil
}

// organizationBody returns an organization as the contract describes it.
func organizationBody(o *controlplane.Organization) Organization {
	limit := o.Tier.RateLimit()
	return Organization{
		Id: o.ID, Name: o.Name, Tier: Tier(o.Tier), Domains: Usage{Used: o.Domains, Limit: o.MaxDomains()},
		RateLimit: RateLimit{Requests: limit.Calls, WindowSeconds: int(limit.Window.Seconds())}, CreatedAt: o.CreatedAt.UTC(),
	}
}
