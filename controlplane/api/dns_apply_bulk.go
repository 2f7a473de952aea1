package api

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// BulkApplyDNS implements POST /api/domains/bulk/dns/apply.
func (a *API) BulkApplyDNS(
	ctx context.Context, r BulkApplyDNSRequestObject,
) (BulkApplyDNSResponseObject, error) {
	p, err := a.withConnections(ctx)
	if err != nil {
		return nil, err
	}
	refs := make([]string, len(r.Body.Domains))
	for i, ref := range r.Body.Domains {
		if refs[i], err = canonicalRef(ref); err != nil {
			refs[i] = ""
		}
	}
	set, err := a.lifecycle.SetConnections(ctx, p.actor, p.org(), r.Body.ConnectionId, refs)
	if err != nil {
		return nil, err
	}
	result := BulkDNSApplyResult{Data: make([]BulkDNSApplyEntry, len(refs)), JobId: nullText}
	for i, one := range set {
		entry := BulkDNSApplyEntry{Index: i, Domain: r.Body.Domains[i], DomainId: nullText,
			Code: nullText, Detail: nullText, Fix: nullText}
		if refs[i] == "" {
			one.Err = controlplane.NotFound("domain", r.Body.Domains[i])
		}
		switch {
		case one.Err != nil:
			problem := asHTTPError(one.Err).problem
			entry.Status = BulkDNSApplyEntryStatusRefused
			entry.Code, entry.Detail = orNull(problem.Code), orNull(problem.Message)
			entry.Fix = orNull(problem.Fix)
			result.Refused++
		case one.Changed:
			entry.Status, entry.DomainId = BulkDNSApplyEntryStatusUpdated, orNull(one.DomainID)
			result.Updated++
		default:
			entry.Status, entry.DomainId = BulkDNSApplyEntryStatusUnchanged, orNull(one.DomainID)
			result.Unchanged++
		}
		result.Data[i] = entry
	}
	job, err := a.store.OpenConnectionJob(ctx, p.org(), r.Body.ConnectionId)
	switch {
	case err == nil:
		result.JobId = orNull(job.ID)
	case !controlplane.IsKind(err, controlplane.KindNotFound):
		return nil, err
	}
	return BulkApplyDNS200JSONResponse(result), nil
}
