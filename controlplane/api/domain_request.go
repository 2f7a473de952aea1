package api

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// VerifyDomain implements POST /api/domains/{domain}/verify.
func (a *API) VerifyDomain(
	ctx context.Context, r VerifyDomainRequestObject,
) (VerifyDomainResponseObject, error) {
	job, started, err := a.request(ctx, r.Domain, a.lifecycle.RequestCheck)
	if err != nil {
		return nil, err
	}
	if !started {
		return VerifyDomain200JSONResponse{Body: jobBody(job),
			Headers: VerifyDomain200ResponseHeaders{Location: jobLocation(job)}}, nil
	}
	return VerifyDomain202JSONResponse{Body: jobBody(job),
		Headers: VerifyDomain202ResponseHeaders{Location: jobLocation(job)}}, nil
}

// IssueDomain implements POST /api/domains/{domain}/issue.
func (a *API) IssueDomain(
	ctx context.Context, r IssueDomainRequestObject,
) (IssueDomainResponseObject, error) {
	job, started, err := a.request(ctx, r.Domain, a.lifecycle.RequestIssue)
	if err != nil {
		return nil, err
	}
	if !started {
		return IssueDomain200JSONResponse{Body: jobBody(job),
			Headers: IssueDomain200ResponseHeaders{Location: jobLocation(job)}}, nil
	}
	return IssueDomain202JSONResponse{Body: jobBody(job),
		Headers: IssueDomain202ResponseHeaders{Location: jobLocation(job)}}, nil
}

// RenewDomain implements POST /api/domains/{domain}/renew.
func (a *API) RenewDomain(
	ctx context.Context, r RenewDomainRequestObject,
) (RenewDomainResponseObject, error) {
	job, started, err := a.request(ctx, r.Domain, a.lifecycle.RequestRenew)
	if err != nil {
		return nil, err
	}
	if !started {
		return RenewDomain200JSONResponse{Body: jobBody(job),
			Headers: RenewDomain200ResponseHeaders{Location: jobLocation(job)}}, nil
	}
	return RenewDomain202JSONResponse{Body: jobBody(job),
		Headers: RenewDomain202ResponseHeaders{Location: jobLocation(job)}}, nil
}

// request requests work on a domain that the token can access.
func (a *API) request(ctx context.Context, ref string,
	start func(ctx context.Context, actor controlplane.Actor, orgID, ref string) (*controlplane.Job,
		bool, error),
) (*controlplane.Job, bool, error) {
	p := principalOf(ctx)
	ref, err := a.domainRef(ctx, ref)
	if err != nil {
		return nil, false, err
	}
	return start(ctx, p.actor, p.org(), ref)
}
