package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// LockDomains locks the organization's set of domains until the transaction ends, so that none is
// added or removed, and returns those of the given names, by name.
func (t *Tx) LockDomains(
	ctx context.Context, orgID string, names []string,
) (map[string]*controlplane.Domain, error) {
	var locked bool
	found := make(map[string]*controlplane.Domain)
	b := &pgx.Batch{}
	// AddDomain and DeleteDomain lock the organization's row first, too.
	b.Queue(`SELECT true FROM organizations WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE`, orgID).
		QueryRow(func(row pgx.Row) error { return row.Scan(&locked) })
	// A separate statement: its snapshot is taken after the lock.
	b.Queue(`SELECT `+domainColumns+` FROM domains d WHERE d.org_id = $1 AND d.name = ANY($2)`,
		orgID, names).
		Query(func(rows pgx.Rows) error {
			all, err := pgx.CollectRows(rows, scanDomain)
			for i := range all {
				found[all[i].Name] = &all[i]
			}
			return err
		})
	err := t.db.SendBatch(ctx, b).Close()
	return found, translate(err, "organization", orgID)
}

// AddDomains is AddDomain for domains of one organization that LockDomains did not find, in one
// round trip. It returns which of them it stored: those for which a limit is reached are missing.
func (t *Tx) AddDomains(ctx context.Context, all []*Addition) ([]bool, error) {
	stored := make([]bool, len(all))
	b := &pgx.Batch{}
	for i, a := range all {
		args, err := a.args()
		if err != nil {
			return nil, err
		}
		b.Queue(addDomain, args).Exec(func(tag pgconn.CommandTag) error {
			stored[i] = tag.RowsAffected() == 1
			return nil
		})
	}
	return stored, translate(t.db.SendBatch(ctx, b).Close(), "", "")
}
