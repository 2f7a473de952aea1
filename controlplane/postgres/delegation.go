package postgres

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// delegationColumns are the columns of a delegation, with the domains among @only that use it, all
// if it is null.
const delegationColumns = `g.id, g.org_id, g.name, g.target, g.pinned, g.connection_id, g.state, g.diagnosis, g.check_since, g.check_attempts,
	CASE WHEN ` + isReady + ` THEN g.ready END, g.last_checked_at, g.next_check_at, g.version, g.created_at, g.updated_at,
	ARRAY(SELECT u.domain_id FROM domain_delegations u WHERE u.delegation_id = g.id AND ` + usedBy + ` ORDER BY u.domain_id LIMIT @users) AS domain_ids,
	(SELECT count(*) FROM domain_delegations u WHERE u.delegation_id = g.id AND ` + usedBy + `) AS domains`

const usedBy = `(@only::text[] IS NULL OR u.domain_id = ANY(@only::text[]))`

func delegationArgs(orgID string, only []string) named {
	return named{"org_id": orgID, "only": only, "users": controlplane.MaxDelegationUsers}
}

func scanDelegation(row pgx.CollectableRow) (controlplane.Delegation, error) {
	var g controlplane.Delegation
	err := row.Scan(&g.ID, &g.OrgID, &g.Name, &g.Target, &g.Pinned, &g.ConnectionID,
		(*string)(&g.State), &g.Diagnosis, &g.CheckSince, &g.CheckAttempts, &g.Ready,
		&g.LastCheckedAt, &g.NextCheckAt, &g.Version, &g.CreatedAt, &g.UpdatedAt, &g.DomainIDs,
		&g.Domains)
	return g, err
}

// Delegation returns one delegation, by ID or by canonical name, with those of the domains only
// that use it; nil means all domains.
func (q queries) Delegation(
	ctx context.Context, orgID, ref string, only []string,
) (*controlplane.Delegation, error) {
	return q.delegation(ctx, orgID, ref, only, "")
}

// LockDelegation is Delegation, with the row locked until the transaction ends. A
// transaction that adds or removes a delegation, or a use of one, locks the organization first.
func (t *Tx) LockDelegation(
	ctx context.Context, orgID, ref string,
) (*controlplane.Delegation, error) {
	return t.delegation(ctx, orgID, ref, nil, " FOR NO KEY UPDATE")
}

func (q queries) delegation(
	ctx context.Context, orgID, ref string, only []string, lock string,
) (*controlplane.Delegation, error) {
	by := "name"
	if strings.HasPrefix(ref, controlplane.PrefixDelegation+"_") {
		by = "id"
	}
	return one(ctx, q, scanDelegation, "delegation", ref, `SELECT `+delegationColumns+
		` FROM delegations g WHERE g.org_id = @org_id AND g.`+by+` = @ref`+lock,
		merge(delegationArgs(orgID, only), named{"ref": ref}))
}

// DelegationNames returns the names of delegations by their IDs. Those that do not exist have none.
func (q queries) DelegationNames(
	ctx context.Context, orgID string, ids []string,
) (map[string]string, error) {
	rows, err := q.db.Query(ctx,
		`SELECT id, name FROM delegations WHERE org_id = $1 AND id = ANY($2)`, orgID, ids)
	if err != nil {
		return nil, translate(err, "", "")
	}
	names := make(map[string]string, len(ids))
	var id, name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		names[id] = name
		return nil
	})
	return names, translate(err, "", "")
}

// DelegationFilter selects the delegations to list. The zero value lists all, newest first.
type DelegationFilter struct {
	Query     string // part of the name, in A-labels or Unicode
	State     controlplane.DelegationState
	Pinned    *bool
	DomainIDs []string // only those that these domains use, and only these users; nil: all
	Sort      string   // created_at or name, with the prefix "-" for descending
	After     *Cursor
	Limit     int
}

// delegationSorts are the keys that delegations can be sorted by, each with an index behind it.
var delegationSorts = map[string]struct {
	sortKey
	position func(controlplane.Delegation) *Cursor
}{
	"created_at": {sortKey{"g.created_at", "g.id", "timestamptz"},
		func(g controlplane.Delegation) *Cursor { return at(g.CreatedAt, g.ID) }},
	"name": {sortKey{"g.name", "g.id", "text"},
		func(g controlplane.Delegation) *Cursor { return &Cursor{g.Name, g.ID} }},
}

// ListDelegations returns one page, and the cursor of the next one, nil on the last.
func (q queries) ListDelegations(
	ctx context.Context, orgID string, f DelegationFilter,
) ([]controlplane.Delegation, *Cursor, error) {
	name, descending := strings.CutPrefix(cmp.Or(f.Sort, "-created_at"), "-")
	sort, ok := delegationSorts[name]
	if !ok {
		return nil, nil, fmt.Errorf("postgres: delegations cannot be sorted by %q", f.Sort)
	}
	l := newList(`SELECT `+delegationColumns+` FROM delegations g`, "g.org_id = @org_id",
		delegationArgs(orgID, f.DomainIDs))
	if err := q.wherePart(ctx, l, orgID, f.Query, byPart{"g.id = ANY(@delegation_ids)",
		"position(@part in g.name) > 0", hasUnicodeParts("g.name")}); err != nil {
		return nil, nil, err
	}
	l.where(f.State != "", "g.state = @state", named{"state": string(f.State)})
	l.where(f.Pinned != nil, "g.pinned = @pinned", named{"pinned": f.Pinned})
	l.where(f.DomainIDs != nil,
		"g.id IN (SELECT delegation_id FROM domain_delegations WHERE domain_id = ANY(@only::text[]))",
		nil)
	l.sorted(sort.sortKey, descending, f.After, f.Limit)
	return readPage(ctx, q, l, scanDelegation, sort.position)
}

// AddDelegation stores a new delegation with its target. The transaction has locked the
// organization, which has no delegation of that name.
func (t *Tx) AddDelegation(ctx context.Context, g *controlplane.Delegation) error {
	_, err := t.db.Exec(ctx, `
		WITH label AS (INSERT INTO targets (label, org_id) VALUES (@target, @org_id))
		INSERT INTO delegations (id, org_id, name, target, pinned, connection_id, state, check_since, next_check_at, created_at, updated_at)
		VALUES (@id, @org_id, @name, @target, @pinned, @connection_id, @state, @now, @next, @now, @now)`,
		named{"id": g.ID, "org_id": g.OrgID, "name": g.Name, "target": g.Target,
			"pinned": g.Pinned, "connection_id": g.ConnectionID, "state": string(g.State),
			"now": g.CreatedAt, "next": g.NextCheckAt})
	return translate(err, "organization", g.OrgID)
}

// SaveDelegation writes what can change of a delegation, and raises its version.
func (t *Tx) SaveDelegation(
	ctx context.Context, g *controlplane.Delegation, now time.Time,
) error {
	err := t.db.QueryRow(ctx, `
		UPDATE delegations SET pinned = @pinned, connection_id = @connection_id, state = @state, diagnosis = @diagnosis, check_since = @check_since,
			check_attempts = @check_attempts, last_checked_at = @last, ready = @ready,
			ready_at = CASE WHEN @ready::jsonb IS NOT NULL THEN @last::timestamptz END, next_check_at = @next, version = version + 1,
			updated_at = @now
		WHERE org_id = @org_id AND id = @id RETURNING version, updated_at`,
		named{"org_id": g.OrgID, "id": g.ID, "pinned": g.Pinned,
			"connection_id": g.ConnectionID, "state": string(g.State), "diagnosis": g.Diagnosis,
			"check_since":    g.CheckSince,
			"check_attempts": g.CheckAttempts, "last": g.LastCheckedAt, "ready": g.Ready, "next": g.NextCheckAt,
			"now": now}).Scan(&g.Version, &g.UpdatedAt)
	return translate(err, "delegation", g.ID)
}

// DeleteDelegation removes a delegation that no domain uses, with its target and its jobs. The
// transaction has locked the organization.
func (t *Tx) DeleteDelegation(ctx context.Context, orgID, id string) error {
	tag, err := t.db.Exec(ctx, `DELETE FROM delegations WHERE org_id = $1 AND id = $2`, orgID, id)
	if err == nil && tag.RowsAffected() == 0 {
		return controlplane.NotFound("delegation", id)
	}
	return translate(err, "delegation", id)
}

// DelegationUsers returns the names of domains by ID, for a message that lists them.
func (q queries) DelegationUsers(
	ctx context.Context, orgID string, ids []string,
) (map[string]string, error) {
	rows, err := q.db.Query(ctx, `SELECT id, name FROM domains WHERE org_id = $1 AND id = ANY($2)`,
		orgID, ids)
	if err != nil {
		return nil, translate(err, "domain", "")
	}
	names := make(map[string]string, len(ids))
	var id, name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		names[id] = name
		return nil
	})
	return names, translate(err, "domain", "")
}
