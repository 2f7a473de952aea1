package client

import "context"

// PinDelegation pins the delegation of a name, and adds it if the organization has none. It changes
// nothing if it is pinned.
func (c *Client) PinDelegation(ctx context.Context, name string) (*Delegation, error) {
	return c.CreateDelegation(ctx, DelegationCreate{Name: name})
}

// CreateDelegation is PinDelegation with a DNS connection, through which the record is created. If
// the delegation is pinned, it sets the connection.
func (c *Client) CreateDelegation(
	ctx context.Context, in DelegationCreate,
) (*Delegation, error) {
	return decode[Delegation](c.raw.CreateDelegation(ctx, nil, in))
}

// DelegationObject returns the delegation with that ID or name. Delegation returns the record of
// any name instead.
func (c *Client) DelegationObject(ctx context.Context, ref string) (*Delegation, error) {
	return decode[Delegation](c.raw.FetchDelegation(ctx, ref, nil))
}

// Delegations returns one page of delegations.
func (c *Client) Delegations(
	ctx context.Context, in ListDelegationsParams,
) (*DelegationList, error) {
	return decode[DelegationList](c.raw.ListDelegations(ctx, &in))
}

// UpdateDelegation pins or unpins a delegation. It returns an *Error with the status 409 for one
// that no domain uses.
func (c *Client) UpdateDelegation(
	ctx context.Context, ref string, in DelegationUpdate,
) (*Delegation, error) {
	return decode[Delegation](c.raw.UpdateDelegation(ctx, ref, nil, in))
}

// DeleteDelegation deletes a delegation. It returns an *Error with the status 409 for one that
// domains use.
func (c *Client) DeleteDelegation(ctx context.Context, ref string) error {
	return discard(c.raw.DeleteDelegation(ctx, ref, nil))
}

// VerifyDelegation starts a check of a delegation, and of the domains that use it and wait for DNS,
// and returns the job of the delegation.
func (c *Client) VerifyDelegation(ctx context.Context, ref string) (*Job, error) {
	return decode[Job](c.raw.VerifyDelegation(ctx, ref, nil))
}

// DelegationDiagnosis is Diagnosis for a delegation.
func (c *Client) DelegationDiagnosis(ctx context.Context, ref string) (*Examination, error) {
	return decode[Examination](c.raw.DiagnoseDelegation(ctx, ref))
}
