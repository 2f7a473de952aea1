package api

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// ListDomains implements GET /api/domains.
func (a *API) ListDomains(
	ctx context.Context, r ListDomainsRequestObject,
) (ListDomainsResponseObject, error) {
	p, q := principalOf(ctx), r.Params
	filter := postgres.DomainFilter{
		Query: deref(q.Q), Label: deref(q.Label),
		Status: controlplane.DomainStatus(deref(q.Status)), ExpiresBefore: q.ExpiresBefore,
		Sort: string(deref(q.Sort)), Limit: limitOf(q.Limit), IDs: p.onlyDomains(),
	}
	if filter.Sort == "" {
		filter.Sort = "-created_at"
	}
	var err error
	if filter.Name, err = nameFilter(deref(q.Name)); err != nil {
		return nil, err
	}
	l := listing{Operation: "listDomains", Org: p.org(),
		Filters: []any{filter.Query, filter.Name, filter.Label, filter.Status,
			filter.ExpiresBefore, filter.Sort}}
	if filter.After, err = a.position(l, q.Cursor); err != nil {
		return nil, err
	}
	domains, next, err := a.store.ListDomains(ctx, p.org(), filter)
	if err != nil {
		return nil, err
	}
	data := make([]Domain, len(domains))
	for i := range domains {
		data[i] = a.domainBody(&domains[i])
	}
	return ListDomains200JSONResponse{Data: data, HasMore: next != nil,
		NextCursor: a.next(l, next)}, nil
}

// nameFilter returns a name in canonical form, with the "*." of a wildcard; "" means no filter. An
// invalid name is an error, because the list would be empty otherwise.
func nameFilter(name string) (string, error) {
	base, wildcard := strings.CutPrefix(name, "*.")
	if name == "" {
		return "", nil
	}
	canonical, err := rules.CanonicalName(base)
	if err != nil {
		return "", fieldsError([]controlplane.FieldError{{Pointer: pointer("name"),
			Code: codeInvalidParameter, Detail: "name is not a domain name."}}, nil)
	}
	if wildcard {
		return "*." + canonical, nil
	}
	return canonical, nil
}

// CreateDomain implements POST /api/domains.
func (a *API) CreateDomain(
	ctx context.Context, r CreateDomainRequestObject,
) (CreateDomainResponseObject, error) {
	p := principalOf(ctx)
	if p.restricted() {
		return nil, errRestricted("add a domain")
	}
	if err := a.replacedDomain(ctx, r.Params.Replacing); err != nil {
		return nil, err
	}
	d, err := a.lifecycle.AddDomain(ctx, p.actor, p.org(), newDomain(r.Body))
	if err != nil {
		return nil, err
	}
	return CreateDomain201JSONResponse{Body: a.domainBody(d),
		Headers: CreateDomain201ResponseHeaders{Location: "/api/domains/" + d.ID,
			ETag: a.domainETag(d)}}, nil
}

// newDomain converts the body to the input of lifecycle.AddDomain.
func newDomain(b *DomainCreate) lifecycle.NewDomain {
	return lifecycle.NewDomain{Name: b.Name, Options: controlplane.Options{
		Wildcard: deref(b.Wildcard), AdditionalNames: deref(b.AdditionalNames),
		IssuePartial: deref(b.IssuePartial), KeyType: controlplane.KeyType(deref(b.KeyType)),
		CSRPEM:  textOf(b.CsrPem),
		Profile: textOf(b.Profile), PreferredChain: textOf(b.PreferredChain), CA: textOf(b.Ca),
		AutoIssue: b.AutoIssue == nil || *b.AutoIssue, AutoRenew: b.AutoRenew == nil ||
			*b.AutoRenew, Labels: deref(b.Labels), ConnectionID: textOf(b.ConnectionId),
	}}
}

// GetDomain implements GET /api/domains/{domain}.
func (a *API) GetDomain(
	ctx context.Context, r GetDomainRequestObject,
) (GetDomainResponseObject, error) {
	known := r.Params.IfNoneMatch
	d, err := a.awaitDomain(ctx, r.Domain, r.Params.Wait, known)
	if err != nil {
		return nil, err
	}
	tag := a.domainETag(d)
	if noneMatch(known, tag) {
		return GetDomain304Response{Headers: GetDomain304ResponseHeaders{ETag: tag}}, nil
	}
	return GetDomain200JSONResponse{Body: a.domainBody(d),
		Headers: GetDomain200ResponseHeaders{ETag: tag}}, nil
}

// awaitDomain returns a domain immediately or, if the caller already knows its state, after it has
// changed. By ID it is read once, and once for each change.
func (a *API) awaitDomain(
	ctx context.Context, ref string, wait *Wait, known *IfNoneMatch,
) (*controlplane.Domain, error) {
	if wait == nil || !controlplane.IsID(controlplane.PrefixDomain, ref) {
		d, err := a.domain(ctx, ref)
		if wait == nil || err != nil {
			return d, err
		}
		ref = d.ID
	}
	var first int64
	return held(ctx, a, wait, ref, func(d *controlplane.Domain) bool {
		if first == 0 {
			first = d.Version
			return known != nil && !noneMatch(known, a.domainETag(d))
		}
		return d.Version != first
	}, func(ctx context.Context) (*controlplane.Domain, error) { return a.domain(ctx, ref) })
}

// UpdateDomain implements PATCH /api/domains/{domain}.
func (a *API) UpdateDomain(
	ctx context.Context, r UpdateDomainRequestObject,
) (UpdateDomainResponseObject, error) {
	p, b := principalOf(ctx), r.Body
	ref, version, err := a.ifVersion(ctx, r.Domain, r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	if p.restricted() && textOf(b.ConnectionId) != "" {
		return nil, errRestricted("use DNS connections, whose zones can contain other domains")
	}
	if err := a.ownNames(ctx, deref(b.AdditionalNames)); err != nil {
		return nil, err
	}
	d, err := a.lifecycle.UpdateDomain(ctx, p.actor, p.org(), ref, version, lifecycle.DomainPatch{
		Wildcard: b.Wildcard, AdditionalNames: b.AdditionalNames, IssuePartial: b.IssuePartial,
		KeyType: (*controlplane.KeyType)(b.KeyType),
		CSRPEM:  patchOf(b.CsrPem), Profile: patchOf(b.Profile),
		PreferredChain: patchOf(b.PreferredChain), CA: patchOf(b.Ca), AutoIssue: b.AutoIssue,
		AutoRenew: b.AutoRenew,
		Labels:    (*map[string]string)(b.Labels), ConnectionID: patchOf(b.ConnectionId),
	})
	if err != nil {
		return nil, err
	}
	if err := a.store.ReadDelegations(ctx, p.org(), d); err != nil {
		return nil, err
	}
	return UpdateDomain200JSONResponse{Body: a.domainBody(d),
		Headers: UpdateDomain200ResponseHeaders{ETag: a.domainETag(d)}}, nil
}

// ownNames checks that a restricted token adds no names to a domain but those of its domains: a
// certificate for others would be outside of them. Invalid names are left to the validation.
func (a *API) ownNames(ctx context.Context, additional []string) error {
	p := principalOf(ctx)
	if !p.restricted() || len(additional) == 0 {
		return nil
	}
	var bases []string
	for _, name := range additional {
		if name, err := rules.ParseAdditionalName(name); err == nil {
			bases = append(bases, rules.BaseName(name))
		}
	}
	own, err := a.store.DelegatedNames(ctx, p.org(), bases, p.onlyDomains())
	if err != nil {
		return err
	}
	for _, base := range bases {
		if !slices.Contains(own, base) {
			return errRestricted("add the name " + base + ", which none of them uses")
		}
	}
	return nil
}

// DeleteDomain implements DELETE /api/domains/{domain}.
func (a *API) DeleteDomain(
	ctx context.Context, r DeleteDomainRequestObject,
) (DeleteDomainResponseObject, error) {
	p := principalOf(ctx)
	ref, version, err := a.ifVersion(ctx, r.Domain, r.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	if err := a.lifecycle.DeleteDomain(ctx, p.actor, p.org(), ref, version); err != nil {
		return nil, err
	}
	return DeleteDomain204Response{}, nil
}

// domain returns a domain by ID or by name in any spelling. It returns KindForbidden if the token
// cannot access the domain.
func (a *API) domain(ctx context.Context, ref string) (*controlplane.Domain, error) {
	p := principalOf(ctx)
	canonical, err := canonicalRef(ref)
	if err != nil {
		return nil, err
	}
	d, err := a.store.Domain(ctx, p.org(), canonical)
	if err != nil {
		return nil, err
	}
	if err := p.grant.CheckDomain("domain", ref, d.ID); err != nil {
		return nil, err
	}
	return d, nil
}

// domainRef returns ref in canonical form after checking that the token can access the domain. Only
// a restricted token costs a query.
func (a *API) domainRef(ctx context.Context, ref string) (string, error) {
	if principalOf(ctx).restricted() {
		d, err := a.domain(ctx, ref)
		if err != nil {
			return "", err
		}
		return d.ID, nil
	}
	return canonicalRef(ref)
}

// canonicalRef returns the ID of a domain, or its name in canonical form. It returns KindNotFound
// if ref is neither.
func canonicalRef(ref string) (string, error) {
	if controlplane.IsID(controlplane.PrefixDomain, ref) {
		return ref, nil
	}
	name, err := rules.CanonicalName(ref)
	if err != nil {
		return "", controlplane.NotFound("domain", ref)
	}
	return name, nil
}

// ifVersion returns ref in canonical form, and the version that If-Match requires, 0 for any.
// Several versions, or none, are compared here (RFC 9110 §13.1.1).
func (a *API) ifVersion(ctx context.Context, ref string, header *IfMatch) (string, int64, error) {
	m := readIfMatch(header)
	if m.any || len(m.versions) == 1 {
		ref, err := a.domainRef(ctx, ref)
		if m.any || err != nil {
			return ref, 0, err
		}
		return ref, m.versions[0], nil
	}
	d, err := a.domain(ctx, ref)
	if err != nil {
		return "", 0, err
	}
	if !slices.Contains(m.versions, d.Version) {
		return "", 0, errPrecondition()
	}
	return d.ID, d.Version, nil
}

// namesBody converts the names of a condition to their API representation, nil without names.
func namesBody(names []controlplane.NameStatus) *[]NameStatus {
	if len(names) == 0 {
		return nil
	}
	body := make([]NameStatus, len(names))
	for i, n := range names {
		body[i] = NameStatus{Name: n.Name, Reason: string(n.Reason), Message: n.Message,
			Observed: optional(n.Observed), ObservedCount: optional(n.ObservedCount),
			Expected: optional(n.Expected), Fix: optional(n.Fix)}
	}
	return &body
}

// domainBody converts a domain to its API representation.
func (a *API) domainBody(d *controlplane.Domain) Domain {
	labels := Labels(d.Labels)
	if labels == nil {
		labels = Labels{}
	}
	conditions := make([]Condition, len(d.Conditions))
	for i, c := range d.Conditions {
		conditions[i] = Condition{Type: ConditionType(c.Type), Status: ConditionStatus(c.Status),
			Reason: string(c.Reason), Message: c.Message,
			Observed: optional(c.Observed), ObservedCount: optional(c.ObservedCount),
			Expected: optional(c.Expected), Fix: optional(c.Fix),
			Names:         namesBody(d.NotReady(c)),
			LastCheckedAt: utc(c.LastCheckedAt), NextCheckAt: utc(c.NextCheckAt)}
		if len(c.ACME) > 0 {
			_ = json.Unmarshal(c.ACME, &conditions[i].Acme) // validated before it was stored
		}
	}
	return Domain{
		Id: d.ID, Name: d.Name, Status: DomainStatus(d.Status),
		StatusReason: string(d.StatusReason), StatusSummary: summaryBody(d.Summary(a.now())),
		Delegation:  delegationBody(a.lifecycle.DelegationOf(d)),
		Delegations: a.delegationsBody(d),
		Conditions:  conditions, Wildcard: d.Wildcard,
		AdditionalNames: listOf(d.AdditionalNames), IssuePartial: d.IssuePartial,
		KeyType: KeyType(d.KeyType),
		CsrPem:  orNull(d.CSRPEM), Profile: orNull(d.Profile),
		PreferredChain: orNull(d.PreferredChain), Ca: orNull(d.CA), AutoIssue: d.AutoIssue,
		AutoRenew: d.AutoRenew, Labels: labels, ConnectionId: orNull(d.ConnectionID),
		OptionsRevision: d.OptionsRevision, CertificateRevision: certificateRevision(d),
		CertificateId: orNull(d.CertificateID), ExpiresAt: timeOrNull(d.ExpiresAt),
		RenewAt:      timeOrNull(d.RenewAt),
		LastIssuedAt: timeOrNull(d.LastIssuedAt), CreatedAt: d.CreatedAt.UTC(),
		UpdatedAt: d.UpdatedAt.UTC(),
	}
}

// delegationsBody returns the records of a domain's names, by base name, each with the result of
// its last check.
func (a *API) delegationsBody(d *controlplane.Domain) map[string]DomainDelegation {
	body := make(map[string]DomainDelegation, 1+len(d.Targets))
	for _, name := range d.Bases() {
		record := a.lifecycle.DelegationAt(d, name)
		result := d.Delegations[name]
		body[name] = DomainDelegation{Name: record.Name,
			Type: DomainDelegationType(record.Type), Target: record.Target,
			State: DelegationState(cmp.Or(result.State, controlplane.DelegationUnchecked)),
			Cause: causeBody(result.Cause())}
	}
	return body
}

// certificateRevision returns the revision of the current certificate, null without one.
func certificateRevision(d *controlplane.Domain) nullable.Nullable[int64] {
	if d.CertificateID == "" {
		return nullable.NewNullNullable[int64]()
	}
	return nullable.NewNullableWithValue(d.CertificateRevision)
}

// summaryBody converts the summary of a domain to its API representation.
func summaryBody(s controlplane.Summary) StatusSummary {
	body := StatusSummary{State: StatusSummaryState(s.State), Headline: s.Headline,
		Reason: string(s.Reason), Cause: s.Cause, NextStep: s.NextStep,
		Actor: StatusSummaryActor(s.Actor.Name())}
	body.NextEvent.SetNull()
	if s.Next != nil {
		body.NextEvent.Set(StatusEvent{What: StatusEventWhat(s.Next.What), At: s.Next.At.UTC()})
	}
	return body
}
