package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// connectionChanges are the columns of a connection that SaveConnection writes.
var connectionChanges = columns[controlplane.Connection]{
	{"name", func(c *controlplane.Connection) any { return &c.Name }},
	{"sealed_credentials", func(c *controlplane.Connection) any { return &c.Sealed }},
	{"status", func(c *controlplane.Connection) any { return (*string)(&c.Status) }},
	{"status_detail", func(c *controlplane.Connection) any { return &c.StatusDetail }},
	{"last_tested_at", func(c *controlplane.Connection) any { return &c.LastTestedAt }},
	{"next_test_at", func(c *controlplane.Connection) any { return &c.NextTestAt }},
	{"last_used_at", func(c *controlplane.Connection) any { return &c.LastUsedAt }},
	{"updated_at", func(c *controlplane.Connection) any { return &c.UpdatedAt }},
}

var connectionColumns = append(columns[controlplane.Connection]{
	{"id", func(c *controlplane.Connection) any { return &c.ID }},
	{"org_id", func(c *controlplane.Connection) any { return &c.OrgID }},
	{"type", func(c *controlplane.Connection) any { return (*string)(&c.Type) }},
	{"created_by", func(c *controlplane.Connection) any { return &c.CreatedBy }},
	{"created_at", func(c *controlplane.Connection) any { return &c.CreatedAt }},
}, connectionChanges...)

func scanConnection(row pgx.CollectableRow) (controlplane.Connection, error) {
	var c controlplane.Connection
	err := row.Scan(connectionColumns.fields(&c)...)
	return c, err
}

// Connection returns one connection.
func (q queries) Connection(
	ctx context.Context, orgID, id string,
) (*controlplane.Connection, error) {
	return q.connection(ctx, orgID, id, "")
}

// LockConnection is Connection, with the row locked until the transaction ends.
func (t *Tx) LockConnection(
	ctx context.Context, orgID, id string,
) (*controlplane.Connection, error) {
	return t.connection(ctx, orgID, id, " FOR NO KEY UPDATE")
}

func (q queries) connection(
	ctx context.Context, orgID, id, lock string,
) (*controlplane.Connection, error) {
	return one(ctx, q, scanConnection, "DNS connection", id, `SELECT `+connectionColumns.list("c.")+
		` FROM dns_connections c WHERE c.org_id = $1 AND c.id = $2`+lock, orgID, id)
}

// ListConnections returns one page, newest first, and the cursor of the next one, nil on the last.
func (q queries) ListConnections(
	ctx context.Context, orgID string, after *Cursor, limit int,
) ([]controlplane.Connection, *Cursor, error) {
	l := newList(`SELECT `+connectionColumns.list("c.")+` FROM dns_connections c`,
		"c.org_id = @org_id", named{"org_id": orgID})
	l.newest("c.created_at", "c.id", after, limit)
	return readPage(ctx, q, l, scanConnection,
		func(c controlplane.Connection) *Cursor { return at(c.CreatedAt, c.ID) })
}

// ConnectionCount returns how many connections the organization has, without the one with the ID
// except.
func (q queries) ConnectionCount(ctx context.Context, orgID, except string) (int, error) {
	var n int
	err := q.db.QueryRow(ctx, `SELECT count(*) FROM dns_connections WHERE org_id = $1 AND id <> $2`,
		orgID, except).Scan(&n)
	return n, translate(err, "", "")
}

// AddConnection stores a new connection.
func (t *Tx) AddConnection(ctx context.Context, c *controlplane.Connection) error {
	_, err := t.db.Exec(ctx, `INSERT INTO dns_connections (`+connectionColumns.list("")+`)
		VALUES (`+connectionColumns.placeholders()+`)`, connectionColumns.args(c))
	return translate(err, "organization", c.OrgID)
}

// SaveConnection writes everything of a connection that can change.
func (t *Tx) SaveConnection(ctx context.Context, c *controlplane.Connection) error {
	tag, err := t.db.Exec(ctx, `UPDATE dns_connections SET `+connectionChanges.set()+
		` WHERE org_id = @org_id AND id = @id`,
		merge(connectionChanges.args(c), named{"org_id": c.OrgID, "id": c.ID}))
	if err == nil && tag.RowsAffected() == 0 {
		return controlplane.NotFound("DNS connection", c.ID)
	}
	return translate(err, "DNS connection", c.ID)
}

// DeleteConnection removes a connection with its credentials.
func (t *Tx) DeleteConnection(ctx context.Context, orgID, id string) error {
	tag, err := t.db.Exec(ctx, `DELETE FROM dns_connections WHERE org_id = $1 AND id = $2`, orgID,
		id)
	if err == nil && tag.RowsAffected() == 0 {
		return controlplane.NotFound("DNS connection", id)
	}
	return translate(err, "DNS connection", id)
}

// TakeDueConnections returns up to limit connections that are to be tested, and schedules their
// next test at again, so that no other worker takes them and a test that is lost is repeated.
func (s *Store) TakeDueConnections(
	ctx context.Context, now, again time.Time, limit int,
) ([]controlplane.Connection, error) {
	return all(ctx, s.queries, scanConnection, `
		UPDATE dns_connections c SET next_test_at = $2 WHERE c.id = ANY(ARRAY(
			SELECT d.id FROM dns_connections d JOIN organizations o ON o.id = d.org_id
			WHERE d.next_test_at <= $1 AND o.deleted_at IS NULL ORDER BY d.next_test_at LIMIT $3 FOR NO KEY UPDATE OF d SKIP LOCKED
		)) RETURNING `+connectionColumns.list("c."), now, again, limit)
}
