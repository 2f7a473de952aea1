package postgres

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// AddDelegationCheck stores a job about a delegation, unless the delegation has an open one: then
// it returns that job and false. The transaction has locked the delegation.
func (t *Tx) AddDelegationCheck(
	ctx context.Context, j *controlplane.Job,
) (*controlplane.Job, bool, error) {
	open, err := t.OpenDelegationCheck(ctx, j.OrgID, j.DelegationID)
	return t.addUnlessOpen(ctx, j, open, err)
}

// OpenDelegationCheck returns the queued or running job about a delegation.
func (q queries) OpenDelegationCheck(
	ctx context.Context, orgID, delegationID string,
) (*controlplane.Job, error) {
	return q.oneJob(ctx, delegationID, `SELECT `+jobColumns+` FROM jobs j
		WHERE j.org_id = $1 AND j.delegation_id = $2 AND j.status IN ('queued', 'running')`,
		orgID, delegationID)
}

// DropDelegationCheck removes the queued job about a delegation. One that runs
// ends after its check.
func (t *Tx) DropDelegationCheck(ctx context.Context, orgID, delegationID string) error {
	_, err := t.db.Exec(ctx,
		`DELETE FROM jobs WHERE org_id = $1 AND delegation_id = $2 AND status = 'queued'`, orgID,
		delegationID)
	return translate(err, "delegation", delegationID)
}
