package api

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// GetDelegation implements GET /api/delegation.
func (a *API) GetDelegation(ctx context.Context, r GetDelegationRequestObject) (GetDelegationResponseObject, error) {
	record, err := a.lifecycle.Delegation(principalOf(ctx).org(), r.Params.Name)
	if err != nil {
		return nil, err
	}
	return GetDelegation200JSONResponse(delegationBody(record)), nil
}

func delegationBody(d controlplane.Delegation) Delegation {
	return Delegation{Name: d.Name, Type: DelegationType(d.Type), Target: d.Target}
}
