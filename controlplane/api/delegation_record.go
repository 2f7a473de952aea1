package api

import (
	"context"
	"slices"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// GetDelegation implements GET /api/delegation. A restricted token gets only the records of names
// that its domains use.
func (a *API) GetDelegation(
	ctx context.Context, r GetDelegationRequestObject,
) (GetDelegationResponseObject, error) {
	p, names := principalOf(ctx), r.Params.Name
	records, err := a.lifecycle.Delegations(p.org(), names)
	if err != nil {
		return nil, err
	}
	if p.restricted() {
		if err := a.usedNames(ctx, names); err != nil {
			return nil, err
		}
	}
	var body DelegationRecords
	if len(records) == 1 {
		err = body.FromDelegationRecord(delegationBody(records[0]))
	} else {
		list := DelegationRecordList{Data: make([]DelegationRecord, len(records))}
		for i := range records {
			list.Data[i] = delegationBody(records[i])
		}
		err = body.FromDelegationRecordList(list)
	}
	return GetDelegation200JSONResponse(body), err
}

// usedNames returns KindForbidden unless domains that the token can access use all of the names,
// which are valid.
func (a *API) usedNames(ctx context.Context, names []string) error {
	p := principalOf(ctx)
	bases := make([]string, len(names))
	for i, name := range names {
		bases[i], _ = rules.CanonicalName(name)
	}
	own, err := a.store.DelegatedNames(ctx, p.org(), bases, p.onlyDomains())
	if err != nil {
		return err
	}
	for _, base := range bases {
		if slices.Contains(own, base) {
			continue
		}
		_, err := a.domain(ctx, base)
		if controlplane.IsKind(err, controlplane.KindNotFound) {
			err = errRestricted("get the record of a name that it cannot add")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func delegationBody(d controlplane.Record) DelegationRecord {
	return DelegationRecord{Name: d.Name, Type: DelegationRecordType(d.Type), Target: d.Target}
}
