package api

import (
	"context"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// ListDelegations implements GET /api/delegations.
func (a *API) ListDelegations(
	ctx context.Context, r ListDelegationsRequestObject,
) (ListDelegationsResponseObject, error) {
	p, q := principalOf(ctx), r.Params
	filter := postgres.DelegationFilter{Query: deref(q.Q),
		State: controlplane.DelegationState(deref(q.State)), Pinned: q.Pinned,
		Sort: string(deref(q.Sort)), Limit: limitOf(q.Limit), DomainIDs: p.onlyDomains()}
	if filter.Sort == "" {
		filter.Sort = "-created_at"
	}
	l := listing{Operation: "listDelegations", Org: p.org(),
		Filters: []any{filter.Query, filter.State, filter.Pinned, filter.Sort}}
	var err error
	if filter.After, err = a.position(l, q.Cursor); err != nil {
		return nil, err
	}
	list, next, err := a.store.ListDelegations(ctx, p.org(), filter)
	if err != nil {
		return nil, err
	}
	data := make([]Delegation, len(list))
	for i := range list {
		data[i] = a.delegationObject(&list[i])
	}
	return ListDelegations200JSONResponse{Data: data, HasMore: next != nil,
		NextCursor: a.next(l, next)}, nil
}

// CreateDelegation implements POST /api/delegations.
func (a *API) CreateDelegation(
	ctx context.Context, r CreateDelegationRequestObject,
) (CreateDelegationResponseObject, error) {
	p := principalOf(ctx)
	if p.restricted() {
		return nil, errRestricted("pin a delegation")
	}
	if err := a.replacedDelegation(ctx, r.Params.Replacing); err != nil {
		return nil, err
	}
	g, added, err := a.lifecycle.PinDelegation(ctx, p.actor, p.org(), r.Body.Name,
		textOf(r.Body.ConnectionId))
	if err != nil {
		return nil, err
	}
	body, location, tag := a.delegationObject(g), "/api/delegations/"+g.ID, delegationETag(g)
	if !added {
		return CreateDelegation200JSONResponse{Body: body,
			Headers: CreateDelegation200ResponseHeaders{Location: location, ETag: tag}}, nil
	}
	return CreateDelegation201JSONResponse{Body: body,
		Headers: CreateDelegation201ResponseHeaders{Location: location, ETag: tag}}, nil
}

// replacedDelegation unpins the delegation that a dry run replaces, and deletes it unless domains
// use it.
func (a *API) replacedDelegation(ctx context.Context, id *Replacing) error {
	p := principalOf(ctx)
	return a.replaced(ctx, id, "delegation", controlplane.PrefixDelegation,
		func(ctx context.Context, id string) error {
			return a.lifecycle.ReleaseDelegation(ctx, p.actor, p.org(), id)
		})
}

// FetchDelegation implements GET /api/delegations/{delegation}.
func (a *API) FetchDelegation(
	ctx context.Context, r FetchDelegationRequestObject,
) (FetchDelegationResponseObject, error) {
	g, err := a.delegation(ctx, r.Delegation)
	if err != nil {
		return nil, err
	}
	tag := delegationETag(g)
	if noneMatch(r.Params.IfNoneMatch, tag) {
		return FetchDelegation304Response{
			Headers: FetchDelegation304ResponseHeaders{ETag: tag}}, nil
	}
	return FetchDelegation200JSONResponse{Body: a.delegationObject(g),
		Headers: FetchDelegation200ResponseHeaders{ETag: tag}}, nil
}

// UpdateDelegation implements PATCH /api/delegations/{delegation}.
func (a *API) UpdateDelegation(
	ctx context.Context, r UpdateDelegationRequestObject,
) (UpdateDelegationResponseObject, error) {
	p := principalOf(ctx)
	ref, version, err := a.toChange(ctx, r.Delegation, r.Params.IfMatch, "change a delegation")
	if err != nil {
		return nil, err
	}
	g, err := a.lifecycle.UpdateDelegation(ctx, p.actor, p.org(), ref, version,
		lifecycle.DelegationPatch{Pinned: r.Body.Pinned,
			ConnectionID: patchOf(r.Body.ConnectionId)})
	if err != nil {
		return nil, err
	}
	return UpdateDelegation200JSONResponse{Body: a.delegationObject(g),
		Headers: UpdateDelegation200ResponseHeaders{ETag: delegationETag(g)}}, nil
}

// DeleteDelegation implements DELETE /api/delegations/{delegation}.
func (a *API) DeleteDelegation(
	ctx context.Context, r DeleteDelegationRequestObject,
) (DeleteDelegationResponseObject, error) {
	p := principalOf(ctx)
	ref, version, err := a.toChange(ctx, r.Delegation, r.Params.IfMatch, "delete a delegation")
	if err != nil {
		return nil, err
	}
	if err := a.lifecycle.DeleteDelegation(ctx, p.actor, p.org(), ref, version); err != nil {
		return nil, err
	}
	return DeleteDelegation204Response{}, nil
}

// toChange returns ref in canonical form, and the version that If-Match requires, 0 for any. It
// returns KindForbidden for a restricted token, unless the delegation does not exist.
func (a *API) toChange(
	ctx context.Context, ref string, header *IfMatch, what string,
) (string, int64, error) {
	p, m := principalOf(ctx), readIfMatch(header)
	if !p.restricted() && (m.any || len(m.versions) == 1) {
		ref, err := canonicalDelegation(ref)
		if m.any || err != nil {
			return ref, 0, err
		}
		return ref, m.versions[0], nil
	}
	canonical, err := canonicalDelegation(ref)
	if err != nil {
		return "", 0, err
	}
	g, err := a.store.Delegation(ctx, p.org(), canonical, nil)
	switch {
	case err != nil:
		return "", 0, err
	case p.restricted():
		return "", 0, errRestricted(what)
	case !slices.Contains(m.versions, g.Version):
		return "", 0, &controlplane.Error{Kind: controlplane.KindPrecondition,
			Code:    "precondition-failed",
			Message: "The delegation has changed since the ETag in If-Match."}
	}
	return g.ID, g.Version, nil
}

// delegation returns a delegation by ID or by name in any spelling, with those of its users that
// the token can access. It returns KindForbidden if the token can access none of them.
func (a *API) delegation(ctx context.Context, ref string) (*controlplane.Delegation, error) {
	p := principalOf(ctx)
	canonical, err := canonicalDelegation(ref)
	if err != nil {
		return nil, err
	}
	g, err := a.store.Delegation(ctx, p.org(), canonical, p.onlyDomains())
	if err != nil || !p.restricted() || g.Domains > 0 {
		return g, err
	}
	if g, err = a.store.Delegation(ctx, p.org(), g.ID, nil); err != nil {
		return nil, err
	}
	user := ""
	if g.Domains > 0 {
		user = g.DomainIDs[0]
	}
	if err := p.grant.CheckDomain("delegation", ref, user); err != nil {
		return nil, err
	}
	return g, nil
}

// canonicalDelegation returns the ID of a delegation, or its name in canonical form. It returns
// KindNotFound if ref is neither.
func canonicalDelegation(ref string) (string, error) {
	if controlplane.IsID(controlplane.PrefixDelegation, ref) {
		return ref, nil
	}
	name, err := rules.CanonicalName(ref)
	if err != nil {
		return "", controlplane.NotFound("delegation", ref)
	}
	return name, nil
}

// delegationETag is the entity tag of a delegation: its version, and its users and checks, which
// change without the version.
func delegationETag(g *controlplane.Delegation) string {
	rest := fnv.New64a()
	for _, id := range g.DomainIDs {
		_, _ = rest.Write([]byte(id))
	}
	for _, at := range []*time.Time{g.LastCheckedAt, g.NextCheckAt} {
		if at != nil {
			_, _ = rest.Write([]byte(at.UTC().Format(time.RFC3339Nano)))
		}
		_, _ = rest.Write([]byte(g.State))
	}
	return `"` + strconv.FormatInt(g.Version, 10) + "-" +
		strconv.FormatUint(rest.Sum64()^uint64(g.Domains), 36) + `"`
}

// delegationObject converts a delegation to its API representation.
func (a *API) delegationObject(g *controlplane.Delegation) Delegation {
	return Delegation{Id: g.ID, Name: g.Name, Record: delegationBody(a.lifecycle.RecordOf(g)),
		Pinned: g.Pinned, ConnectionId: orNull(g.ConnectionID), State: DelegationState(g.State),
		Cause:         causeBody(g.Result().Cause()),
		LastCheckedAt: timeOrNull(g.LastCheckedAt), NextCheckAt: timeOrNull(g.NextCheckAt),
		DomainIds: listOf(g.DomainIDs), DomainCount: g.Domains, CreatedAt: g.CreatedAt.UTC(),
		UpdatedAt: g.UpdatedAt.UTC()}
}

// causeBody converts the cause of a broken delegation to its API representation, null for nil.
func causeBody(c *controlplane.Diagnosis) nullable.Nullable[DelegationCause] {
	if c == nil {
		return noCause
	}
	return nullable.NewNullableWithValue(DelegationCause{Code: c.Code, Message: c.Summary,
		Observed: c.Observed, ObservedCount: c.Count, Expected: c.Expected, Fix: c.Fix})
}

// VerifyDelegation implements POST /api/delegations/{delegation}/verify.
func (a *API) VerifyDelegation(
	ctx context.Context, r VerifyDelegationRequestObject,
) (VerifyDelegationResponseObject, error) {
	p := principalOf(ctx)
	g, err := a.delegation(ctx, r.Delegation)
	if err != nil {
		return nil, err
	}
	job, started, err := a.lifecycle.RequestDelegationCheck(ctx, p.actor, p.org(), g.ID,
		p.onlyDomains())
	if err != nil {
		return nil, err
	}
	if !started {
		return VerifyDelegation200JSONResponse{Body: jobBody(job),
			Headers: VerifyDelegation200ResponseHeaders{Location: jobLocation(job)}}, nil
	}
	return VerifyDelegation202JSONResponse{Body: jobBody(job),
		Headers: VerifyDelegation202ResponseHeaders{Location: jobLocation(job)}}, nil
}
