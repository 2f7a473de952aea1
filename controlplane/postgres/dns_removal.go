package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// A transaction that changes records whose delegations have ended locks, in this order, the
// organization if there can be several, the connection, its job, the delegations of the names, and
// the records. The end of a delegation locks the organization, the delegation, and the record.

// removable is true of a record that is to be removed at the host, unless its delegation was added
// again.
const removable = `r.remove_at IS NOT NULL AND r.state IN ('created', 'removing')`

// mayStay is true of a record that may be at the host: of one that is removable, and of one that
// will be once it is known whether it was created.
const mayStay = `r.remove_at IS NOT NULL AND (r.state IN ('created', 'removing') OR r.state = 'pending' AND r.attempted)`

// RemovableRecord returns the next record to be removed through a connection.
func (q queries) RemovableRecord(
	ctx context.Context, orgID, connectionID string,
) (*controlplane.HostedRecord, error) {
	return one(ctx, q, scanRecord, "DNS record", connectionID, `SELECT `+recordColumns.list("r.")+
		` FROM dns_records r WHERE r.org_id = $1 AND r.connection_id = $2 AND `+removable+`
		ORDER BY r.name LIMIT 1`, orgID, connectionID)
}

// Removals returns how many records are still to be removed through a connection, and the names of
// the first ones.
func (q queries) Removals(
	ctx context.Context, orgID, connectionID string, limit int,
) (n int, names []string, err error) {
	err = q.db.QueryRow(ctx, `SELECT count(*), coalesce((array_agg(r.name ORDER BY r.name))[:$3], '{}')
		FROM dns_records r WHERE r.org_id = $1 AND r.connection_id = $2 AND `+mayStay+`
			AND NOT `+lasts, orgID, connectionID, limit).Scan(&n, &names)
	return n, names, translate(err, "", "")
}

// lasts is true of a record whose name has a delegation.
const lasts = `EXISTS (SELECT FROM delegations g WHERE g.org_id = r.org_id AND g.name = substr(r.name, length('_acme-challenge.') + 1))`

// Lasting is a delegation that a record's name has.
type Lasting struct {
	Name   string // of the record
	ID     string
	Target string // label
}

// LastingDelegations returns the delegations of records' names by these names, locked so that none
// ends before the transaction does. In the order of their names, like RequestRecords.
func (t *Tx) LastingDelegations(
	ctx context.Context, orgID string, names []string,
) (map[string]Lasting, error) {
	bases := make([]string, len(names))
	for i, name := range names {
		bases[i] = name[len("_acme-challenge."):]
	}
	found, err := all(ctx, t.queries, pgx.RowToStructByPos[Lasting], `
		SELECT '_acme-challenge.' || g.name, g.id, g.target FROM delegations g
		WHERE g.org_id = $1 AND g.name = ANY($2) ORDER BY g.name FOR KEY SHARE`, orgID, bases)
	byName := make(map[string]Lasting, len(found))
	for _, l := range found {
		byName[l.Name] = l
	}
	return byName, err
}

// sameRemoval is true of a record that is still to be removed as in removalArgs.
const sameRemoval = `r.org_id = @org_id AND r.name = @name AND r.connection_id = @connection_id AND r.zone = @zone
	AND r.value = @value AND ` + removable

func removalArgs(r *controlplane.HostedRecord) named {
	return named{"org_id": r.OrgID, "name": r.Name, "connection_id": r.ConnectionID,
		"zone": r.Zone, "value": r.Value}
}

// AttemptRemoval stores that the removal of a record is sent to the host. It returns false if the
// record is no longer to be removed.
func (t *Tx) AttemptRemoval(
	ctx context.Context, r *controlplane.HostedRecord, now time.Time,
) (bool, error) {
	tag, err := t.db.Exec(ctx, `UPDATE dns_records r SET state = 'removing', attempted = true,
		remove_at = greatest(remove_at, @now::timestamptz), ended_at = coalesce(ended_at, @now), updated_at = @now WHERE `+sameRemoval,
		merge(removalArgs(r), named{"now": now}))
	return tag.RowsAffected() > 0, translate(err, "DNS record", r.Name)
}

// ForgetRecord removes the row of a record that was removed at the host, or stays there. It returns
// false if the record is no longer to be removed.
func (t *Tx) ForgetRecord(ctx context.Context, r *controlplane.HostedRecord) (bool, error) {
	tag, err := t.db.Exec(ctx, `DELETE FROM dns_records r WHERE `+sameRemoval, removalArgs(r))
	return tag.RowsAffected() > 0, translate(err, "DNS record", r.Name)
}

// CountRemoval counts, in the result of a job that the transaction holds, a record that it removed
// or, if not, left at the host.
func (t *Tx) CountRemoval(ctx context.Context, j *controlplane.Job, removed bool) error {
	key := "left"
	if removed {
		key = "removed"
	}
	_, err := t.db.Exec(ctx, `UPDATE jobs SET result = coalesce(result, '{}') || jsonb_build_object($3::text, coalesce((result->>$3)::int, 0) + 1)
		WHERE org_id = $1 AND id = $2`, j.OrgID, j.ID, key)
	return translate(err, "job", j.ID)
}

// MovedRecords removes the rows of records that were created through other connections, or in other
// zones, than those of the requests for their names, and returns them.
func (t *Tx) MovedRecords(
	ctx context.Context, orgID, connectionID string, wanted []controlplane.RecordRequest,
) ([]controlplane.HostedRecord, error) {
	return all(ctx, t.queries, scanRecord, `
		DELETE FROM dns_records r USING jsonb_to_recordset(@wanted::jsonb) AS w (name text, zone text)
		WHERE r.org_id = @org_id AND r.name = w.name AND (r.connection_id <> @connection_id OR r.zone <> w.zone)
			AND r.state IN ('created', 'removing')
		RETURNING `+recordColumns.list("r."),
		named{"org_id": orgID, "connection_id": connectionID, "wanted": wanted})
}

// DueConnection is a connection with records whose delegations have ended.
type DueConnection struct{ OrgID, ID string }

// dueRows is how many records one search for due connections reads.
const dueRows = 1000

// DueRemovals returns connections that have records whose delegations have ended and that are due
// at now, the longest due first: those of one organization or, if orgID is empty, of all. It reads
// only due records, by index.
func (s *Store) DueRemovals(
	ctx context.Context, orgID string, now time.Time,
) ([]DueConnection, error) {
	return all(ctx, s.queries, pgx.RowToStructByPos[DueConnection], dueRemovals, orgID, now,
		dueRows)
}

const dueRemovals = `
	SELECT org_id, connection_id FROM (
		SELECT r.org_id, r.connection_id, r.remove_at FROM dns_records r
		WHERE r.remove_at <= $2 AND ($1 = '' OR r.org_id = $1) ORDER BY r.remove_at LIMIT $3
	) due GROUP BY org_id, connection_id ORDER BY min(remove_at), org_id, connection_id`

// EndedRecords returns up to limit due records of a connection whose delegations have ended, and
// those delegations that have been added again, by the records' names. All are locked until the
// transaction ends, as the connection already is.
func (t *Tx) EndedRecords(
	ctx context.Context, orgID, connectionID string, now time.Time, limit int,
) ([]controlplane.HostedRecord, map[string]Lasting, error) {
	names, err := all(ctx, t.queries, pgx.RowTo[string], `SELECT r.name FROM dns_records r
		WHERE r.org_id = $1 AND r.connection_id = $2 AND r.remove_at <= $3 ORDER BY r.name LIMIT $4`,
		orgID, connectionID, now, limit)
	if err != nil || len(names) == 0 {
		return nil, nil, err
	}
	lasting, err := t.LastingDelegations(ctx, orgID, names)
	if err != nil {
		return nil, nil, err
	}
	records, err := all(ctx, t.queries, scanRecord, `SELECT `+recordColumns.list("r.")+
		` FROM dns_records r WHERE r.org_id = $1 AND r.connection_id = $2 AND r.name = ANY($3)
			AND r.remove_at IS NOT NULL ORDER BY r.name FOR NO KEY UPDATE`, orgID, connectionID, names)
	return records, lasting, err
}

// ResetRecords stores that records serve delegations, by the records' names, and returns how many
// of them are pending now: their removal may have reached the host.
func (t *Tx) ResetRecords(
	ctx context.Context, orgID string, serve map[string]Lasting, now time.Time,
) (pending int, err error) {
	names, ids := make([]string, 0, len(serve)), make([]string, 0, len(serve))
	for name, l := range serve {
		names, ids = append(names, name), append(ids, l.ID)
	}
	err = t.db.QueryRow(ctx, `
		WITH reset AS (
			UPDATE dns_records r SET delegation_id = s.id, remove_at = NULL, ended_at = NULL, updated_at = @now,
				state = CASE r.state WHEN 'removing' THEN 'pending' ELSE r.state END,
				replaces = CASE r.state WHEN 'removing' THEN '[]' ELSE r.replaces END
			FROM unnest(@names::text[], @ids::text[]) AS s (name, id) WHERE r.org_id = @org_id AND r.name = s.name
			RETURNING r.state
		) SELECT count(*) FILTER (WHERE state = 'pending') FROM reset`,
		named{"org_id": orgID, "names": names, "ids": ids, "now": now}).Scan(&pending)
	return pending, translate(err, "", "")
}

// ForgetRecords removes the rows of records.
func (t *Tx) ForgetRecords(ctx context.Context, orgID string, names []string) error {
	_, err := t.db.Exec(ctx, `DELETE FROM dns_records WHERE org_id = $1 AND name = ANY($2)`, orgID,
		names)
	return translate(err, "", "")
}

// PostponeRemovals stores that records are to be removed since now, or since earlier, and when they
// are due again: after as long as they have been, but at least an hour and at most a day, and no
// later than when their time is over.
func (t *Tx) PostponeRemovals(
	ctx context.Context, orgID string, names []string, now time.Time,
) error {
	_, err := t.db.Exec(ctx, `UPDATE dns_records r SET ended_at = coalesce(r.ended_at, @now), remove_at = least(
			@now::timestamptz + least(greatest(@now::timestamptz - coalesce(r.ended_at, @now), interval '1 hour'), interval '1 day'),
			coalesce(r.ended_at, @now) + @time::interval)
		WHERE r.org_id = @org_id AND r.name = ANY(@names)`,
		named{"org_id": orgID, "names": names, "now": now, "time": controlplane.RemovalFor})
	return translate(err, "", "")
}

// TakeRemovals removes the rows of up to limit records that are still to be removed through a
// connection, or in an organization if connectionID is empty, and returns them.
func (t *Tx) TakeRemovals(
	ctx context.Context, orgID, connectionID string, limit int,
) ([]controlplane.HostedRecord, error) {
	return all(ctx, t.queries, scanRecord, `
		DELETE FROM dns_records r WHERE r.org_id = $1 AND r.name = ANY(ARRAY(
			SELECT r.name FROM dns_records r
			WHERE r.org_id = $1 AND ($2 = '' OR r.connection_id = $2) AND `+mayStay+` AND NOT `+lasts+`
			ORDER BY r.name LIMIT $3 FOR UPDATE
		)) RETURNING `+recordColumns.list("r."), orgID, connectionID, limit)
}

// HasRemovals reports whether records of an organization are still to be removed of which that is
// due since the given time or later.
func (q queries) HasRemovals(ctx context.Context, orgID string, since time.Time) (bool, error) {
	var has bool
	err := q.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM dns_records r
		WHERE r.org_id = $1 AND `+mayStay+` AND coalesce(r.ended_at > $2, true))`,
		orgID, since).Scan(&has)
	return has, translate(err, "", "")
}
