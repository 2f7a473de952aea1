package api

import (
	"context"

	"github.com/oapi-codegen/nullable"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// BulkCreateDomains implements POST /api/domains/bulk. What the contract refused of single
// entries was set aside before (operation.setAside).
func (a *API) BulkCreateDomains(ctx context.Context, r BulkCreateDomainsRequestObject) (BulkCreateDomainsResponseObject, error) {
	p, c := principalOf(ctx), callOf(ctx)
	if p.restricted() {
		return nil, errRestricted("add any")
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
	result := BulkDomainsResult{Data: make([]BulkDomainResult, len(r.JSONBody.Domains))}
	for i := range result.Data {
		one := &result.Data[i]
		*one = BulkDomainResult{Index: i, Line: nullable.NewNullNullable[int](), Name: r.JSONBody.Domains[i].Name,
			Domain: nullable.NewNullNullable[Domain](), Code: orNull(""), Detail: orNull(""), Fix: orNull(""), Errors: []FieldError{}}
		if c.lines != nil {
			one.Line = nullable.NewNullableWithValue(c.lines[i])
		}
		if wrong := c.refused[i]; wrong != nil {
			a.refuse(c, one, wrong.err(nil))
			result.Refused++
			continue
		}
		switch became := added[0]; {
		case became.Err != nil:
			a.refuse(c, one, became.Err)
			result.Refused++
		case became.New:
			one.Status = Created
			result.Created++
		default:
			one.Status = Exists
			result.Exists++
		}
		if d := added[0].Domain; d != nil {
			one.Domain = nullable.NewNullableWithValue(a.domainBody(d))
		}
		added = added[1:]
	}
	return BulkCreateDomains200JSONResponse(result), nil
}

// refuse puts into a result why its domain was refused, as an answer of its own would say it.
func (a *API) refuse(c *call, one *BulkDomainResult, err error) {
	p := asHTTPError(err).problem
	one.Status, one.Code, one.Detail, one.Fix = Refused, orNull(p.Code), orNull(p.Message), orNull(p.Fix)
	if p.Fix == "" {
		one.Fix = orNull(controlplane.FixOf(p.Code))
	}
	fields, total := listed(p, maxEntryErrors)
	one.ErrorsTotal = total
	for _, f := range fields {
		one.Errors = append(one.Errors, FieldError{Pointer: c.pointerOf(one.Index, f.Pointer), Code: f.Code, Detail: f.Detail})
	}
}
