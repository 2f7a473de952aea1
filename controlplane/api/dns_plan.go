package api

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// PlanDomainDNS implements POST /api/domains/{domain}/dns/plan.
func (a *API) PlanDomainDNS(
	ctx context.Context, r PlanDomainDNSRequestObject,
) (PlanDomainDNSResponseObject, error) {
	d, err := a.domain(ctx, r.Domain)
	if err != nil {
		return nil, err
	}
	plan, err := a.plan(ctx, r.Body.ConnectionId, a.lifecycle.RecordsOf(d))
	if err != nil {
		return nil, err
	}
	return PlanDomainDNS200JSONResponse(plan), nil
}

// PlanDelegationDNS implements POST /api/delegations/{delegation}/dns/plan.
func (a *API) PlanDelegationDNS(
	ctx context.Context, r PlanDelegationDNSRequestObject,
) (PlanDelegationDNSResponseObject, error) {
	g, err := a.delegation(ctx, r.Delegation)
	if err != nil {
		return nil, err
	}
	plan, err := a.plan(ctx, r.Body.ConnectionId,
		[]controlplane.Record{a.lifecycle.RecordOf(g)})
	if err != nil {
		return nil, err
	}
	return PlanDelegationDNS200JSONResponse(plan), nil
}

// plan returns the plan of records through a connection of the caller's organization.
func (a *API) plan(
	ctx context.Context, connection string, records []controlplane.Record,
) (DNSPlan, error) {
	if !controlplane.IsID(controlplane.PrefixConnection, connection) {
		return DNSPlan{}, controlplane.NotFound("DNS connection", connection)
	}
	plan, err := a.lifecycle.PlanRecords(ctx, principalOf(ctx).org(), connection, records)
	if err != nil {
		return DNSPlan{}, err
	}
	body := DNSPlan{PlanId: plan.ID(), ConnectionId: plan.ConnectionID,
		Changes: []DNSChange{}, Conflicts: []DNSPlanConflict{}}
	for _, c := range plan.Changes {
		body.Changes = append(body.Changes, DNSChange{Zone: c.Zone, Name: c.Name,
			Action: DNSChangeAction(c.Action), Before: recordSets(c.Before),
			After: recordSets([]controlplane.RecordSet{c.After})[0]})
	}
	for _, c := range plan.Conflicts {
		body.Conflicts = append(body.Conflicts, DNSPlanConflict{Name: c.Name,
			Kind: DNSPlanConflictKind(c.Kind), Detail: c.Message, Records: recordSets(c.Found)})
	}
	return body, nil
}

func recordSets(sets []controlplane.RecordSet) []DNSRecordSet {
	out := make([]DNSRecordSet, len(sets))
	for i, s := range sets {
		out[i] = DNSRecordSet{Name: s.Name, Type: s.Type, Values: s.Values}
	}
	return out
}
