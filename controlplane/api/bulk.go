package api

import (
	"context"
	"strconv"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// BulkCreateDomains implements POST /api/domains/bulk. Entries that violate the contract are
// already set aside (bodyCheck.setAside).
func (a *API) BulkCreateDomains(
	ctx context.Context, r BulkCreateDomainsRequestObject,
) (BulkCreateDomainsResponseObject, error) {
	p, c := principalOf(ctx), callOf(ctx)
	if p.restricted() {
		return nil, errRestricted("add domains")
	}
	if err := a.replacedDomain(ctx, r.Params.Replacing); err != nil {
		return nil, err
	}
	var in []lifecycle.NewDomain
	for i := range r.JSONBody.Domains {
		if c.refused[i] == nil {
			in = append(in, newDomain(&r.JSONBody.Domains[i]))
		}
	}
	added, err := a.lifecycle.AddDomains(ctx, p.actor, p.org(), in)
	if err != nil {
		return nil, err
	}
	if err := a.readDelegations(ctx, p.org(), added); err != nil {
		return nil, err
	}
	result := BulkDomainsResult{Data: make([]BulkDomainResult, len(r.JSONBody.Domains))}
	for i := range result.Data {
		one := &result.Data[i]
		*one = BulkDomainResult{Index: i, Line: nullable.NewNullNullable[int](),
			Name:   r.JSONBody.Domains[i].Name,
			Domain: nullable.NewNullNullable[Domain](), Code: orNull(""), Detail: orNull(""),
			Fix: orNull(""), Errors: []FieldError{}}
		if c.lines != nil {
			one.Line = nullable.NewNullableWithValue(c.lines[i])
		}
		if wrong := c.refused[i]; wrong != nil {
			a.reject(c, one, wrong.err(nil))
			result.Refused++
			continue
		}
		switch outcome := added[0]; {
		case outcome.Err != nil:
			a.reject(c, one, outcome.Err)
			result.Refused++
		case outcome.New:
			one.Status = BulkDomainResultStatusCreated
			result.Created++
		default:
			one.Status = BulkDomainResultStatusExists
			result.Exists++
		}
		if d := added[0].Domain; d != nil {
			one.Domain = nullable.NewNullableWithValue(a.domainBody(d))
		}
		added = added[1:]
	}
	if c.dryRun && result.Refused > 0 {
		return nil, rejections(c, &result)
	}
	return BulkCreateDomains200JSONResponse(result), nil
}

// readDelegations reads the results of the delegations of all domains that were added or exist.
func (a *API) readDelegations(
	ctx context.Context, orgID string, added []lifecycle.Added,
) error {
	var domains []*controlplane.Domain
	for i := range added {
		if d := added[i].Domain; d != nil {
			domains = append(domains, d)
		}
	}
	if len(domains) == 0 {
		return nil
	}
	return a.store.ReadDelegations(ctx, orgID, domains...)
}

// rejections returns an error about the rejected domains of a dry run, with the fields of each, or
// with its entry if it has none.
func rejections(c *call, result *BulkDomainsResult) error {
	var all faults
	for i := range result.Data {
		one := &result.Data[i]
		if one.Status != BulkDomainResultStatusRefused {
			continue
		}
		if len(one.Errors) == 0 {
			code, _ := one.Code.Get()
			detail, _ := one.Detail.Get()
			all.add(controlplane.FieldError{Pointer: c.pointerOf(i, ""), Code: code,
				Detail: detail})
		}
		for _, f := range one.Errors {
			all.add(controlplane.FieldError{Pointer: f.Pointer, Code: f.Code, Detail: f.Detail})
		}
		all.invalid.total += one.ErrorsTotal - len(one.Errors)
	}
	return all.err(nil)
}

// reject stores in a result why its domain was rejected, with the same content as a problem
// document.
func (a *API) reject(c *call, one *BulkDomainResult, err error) {
	p := asHTTPError(err).problem
	one.Status = BulkDomainResultStatusRefused
	one.Code, one.Detail, one.Fix = orNull(p.Code), orNull(p.Message), orNull(p.Fix)
	if p.Fix == "" {
		one.Fix = orNull(controlplane.FixOf(p.Code))
	}
	fields, total := listed(p, maxEntryErrors)
	one.ErrorsTotal = total
	for _, f := range fields {
		one.Errors = append(one.Errors, FieldError{Pointer: c.pointerOf(one.Index, f.Pointer),
			Code: f.Code, Detail: f.Detail})
	}
}

// pointerOf returns the pointer of a field of an entry: by its index for JSON, and by its line for
// CSV.
func (c *call) pointerOf(entry int, field string) string {
	if c.lines != nil {
		return "/lines/" + strconv.Itoa(c.lines[entry]) + field
	}
	return "/" + c.op.each + "/" + strconv.Itoa(entry) + field
}
