package postgres

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// LockToken is Token, with the row locked until the transaction ends.
func (t *Tx) LockToken(ctx context.Context, orgID, id string) (*controlplane.Token, error) {
	// A separate statement: the next one then sees what the last holder has committed.
	if _, err := t.db.Exec(ctx,
		`SELECT FROM api_tokens WHERE org_id = $1 AND id = $2 FOR NO KEY UPDATE`, orgID,
		id); err != nil {
		return nil, translate(err, "token", id)
	}
	return t.Token(ctx, orgID, id)
}
