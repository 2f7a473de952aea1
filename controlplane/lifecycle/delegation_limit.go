package lifecycle

import (
	"context"
	"fmt"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// withinDelegations runs a change that may add delegations, and that writes through t. It locks the
// organization's row first, so the change must lock domains itself. It returns KindForbidden, for
// the transaction to be rolled back, if the change adds delegations beyond the plan's limit: what
// it removes makes room for what it adds.
func withinDelegations(
	ctx context.Context, t *postgres.Tx, orgID string, change func() error,
) error {
	before, err := t.LockOrganization(ctx, orgID)
	if err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	after, err := t.Organization(ctx, orgID)
	if err != nil || after.Delegations <= max(before.Delegations, after.MaxDelegations()) {
		return err
	}
	return delegationLimit(after, before.Delegations, after.Delegations-before.Delegations)
}

// delegationLimit returns the error of a change that would add delegations to those in use beyond
// the plan's limit.
func delegationLimit(org *controlplane.Organization, used, added int) error {
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "plan-limit",
		Message: fmt.Sprintf("The %s plan includes %d delegations, %d are in use, and %d are to "+
			"be added.", org.Tier, org.MaxDelegations(), used, added),
		Fix: "Delete a delegation or a name that is no longer needed, or move the organization " +
			"to a larger plan."}
}
