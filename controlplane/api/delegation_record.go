package api

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// GetDelegation implements GET /api/delegation. A restricted token gets only the records of its
// domains.
func (a *API) GetDelegation(
	ctx context.Context, r GetDelegationRequestObject,
) (GetDelegationResponseObject, error) {
	p := principalOf(ctx)
	record, err := a.lifecycle.Delegation(p.org(), r.Params.Name)
	if err != nil {
		return nil, err
	}
	if p.restricted() {
		_, err := a.domain(ctx, r.Params.Name)
		if controlplane.IsKind(err, controlplane.KindNotFound) {
			err = errRestricted("get the record of a name that it cannot add")
		}
		if err != nil {
			return nil, err
		}
	}
	return GetDelegation200JSONResponse(delegationBody(record)), nil
}

func delegationBody(d controlplane.Record) DelegationRecord {
	return DelegationRecord{Name: d.Name, Type: DelegationRecordType(d.Type), Target: d.Target}
}
