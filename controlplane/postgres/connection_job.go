package postgres

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// AddConnectionJob stores a job about a connection, unless the connection has an open one: then it
// returns that job and false. The transaction has locked the connection.
func (t *Tx) AddConnectionJob(
	ctx context.Context, j *controlplane.Job,
) (*controlplane.Job, bool, error) {
	open, err := t.OpenConnectionJob(ctx, j.OrgID, j.ConnectionID)
	return t.addUnlessOpen(ctx, j, open, err)
}

// OpenConnectionJob returns the queued or running job about a connection.
func (q queries) OpenConnectionJob(
	ctx context.Context, orgID, connectionID string,
) (*controlplane.Job, error) {
	return q.oneJob(ctx, connectionID, `SELECT `+jobColumns+` FROM jobs j
		WHERE j.org_id = $1 AND j.connection_id = $2 AND j.status IN ('queued', 'running')`,
		orgID, connectionID)
}

// HoldConnectionJob locks the connection and its job until the transaction ends, the connection
// first, as in every transaction that locks both. It returns ErrClaimLost if the worker no longer
// holds the job, or the connection was deleted.
func (t *Tx) HoldConnectionJob(
	ctx context.Context, c *Claim,
) (*controlplane.Connection, error) {
	one, err := t.LockConnection(ctx, c.Job.OrgID, c.Job.ConnectionID)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return nil, ErrClaimLost
	}
	if err != nil {
		return nil, err
	}
	return one, t.stillHeld(ctx, holdsJob+` FOR NO KEY UPDATE`,
		named{"job": c.Job.ID, "worker": c.Worker})
}

// UseConnection records that a record was created through the connection.
func (t *Tx) UseConnection(ctx context.Context, orgID, id string, now time.Time) error {
	_, err := t.db.Exec(ctx,
		`UPDATE dns_connections SET last_used_at = $3 WHERE org_id = $1 AND id = $2`, orgID, id, now)
	return translate(err, "DNS connection", id)
}
