package api

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// ApplyDomainDNS implements POST /api/domains/{domain}/dns/apply.
func (a *API) ApplyDomainDNS(
	ctx context.Context, r ApplyDomainDNSRequestObject,
) (ApplyDomainDNSResponseObject, error) {
	d, err := a.domain(ctx, r.Domain)
	if err != nil {
		return nil, err
	}
	job, err := a.apply(ctx, r.Body, a.lifecycle.RecordsOf(d))
	if err != nil {
		return nil, err
	}
	return ApplyDomainDNS202JSONResponse{Body: jobBody(job),
		Headers: ApplyDomainDNS202ResponseHeaders{Location: jobLocation(job)}}, nil
}

// ApplyDelegationDNS implements POST /api/delegations/{delegation}/dns/apply.
func (a *API) ApplyDelegationDNS(
	ctx context.Context, r ApplyDelegationDNSRequestObject,
) (ApplyDelegationDNSResponseObject, error) {
	g, err := a.delegation(ctx, r.Delegation)
	if err != nil {
		return nil, err
	}
	job, err := a.apply(ctx, r.Body, []controlplane.Record{a.lifecycle.RecordOf(g)})
	if err != nil {
		return nil, err
	}
	return ApplyDelegationDNS202JSONResponse{Body: jobBody(job),
		Headers: ApplyDelegationDNS202ResponseHeaders{Location: jobLocation(job)}}, nil
}

// apply starts the creation of records through a connection of the caller's organization.
func (a *API) apply(
	ctx context.Context, body *DNSApply, records []controlplane.Record,
) (*controlplane.Job, error) {
	p := principalOf(ctx)
	in := lifecycle.RecordsToApply{PlanID: deref(body.PlanId),
		ConnectionID: deref(body.ConnectionId)}
	if (in.PlanID == "") == (in.ConnectionID == "") {
		return nil, controlplane.Invalid("/plan_id", "plan-or-connection",
			"Expected either plan_id or connection_id.", controlplane.FixOf("plan-or-connection"))
	}
	connection := in.ConnectionID
	if in.PlanID != "" {
		connection = controlplane.PlanConnection(in.PlanID)
	}
	if !controlplane.IsID(controlplane.PrefixConnection, connection) {
		return nil, controlplane.NotFound("DNS connection", connection)
	}
	for _, set := range deref(body.Overwrite) {
		in.Overwrite = append(in.Overwrite, controlplane.RecordSet{Name: set.Name, Type: set.Type,
			Values: set.Values})
	}
	job, _, err := a.lifecycle.ApplyRecords(ctx, p.actor, p.org(), in, records)
	return job, err
}
