package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// aboutDomain is the domain that an entry is about, whatever it was done to; of one that is
// about none it is the entity. It has an index.
const aboutDomain = `coalesce(details ->> 'domain_id', entity_id)`

// LogFilter says which entries of the log to list. The zero value lists all, newest first.
type LogFilter struct {
	ActorID   string
	Action    string
	EntityID  string     // that it was done to
	DomainID  string     // that it is about
	DomainIDs []string   // only about these; nil: all
	Since     *time.Time // inclusive
	Until     *time.Time // exclusive
	Oldest    bool       // first
	After     *Cursor
	Limit     int
}

// ListLog returns one page of the log by time, and the cursor of the next one, nil on the
// last.
func (q queries) ListLog(ctx context.Context, orgID string, f LogFilter) ([]controlplane.AuditEntry, *Cursor, error) {
	direction, beyond := "DESC", "<"
	if f.Oldest {
		direction, beyond = "ASC", ">"
	}
	w := newWhere(orgID)
	w.add(f.ActorID != "", "actor_id = ?", f.ActorID)
	w.add(f.Action != "", "action = ?", f.Action)
	w.add(f.EntityID != "", "entity_id = ?", f.EntityID)
	w.add(f.DomainID != "", aboutDomain+" = ?", f.DomainID)
	w.add(f.DomainIDs != nil, aboutDomain+" = ANY(?)", f.DomainIDs)
	w.add(f.Since != nil, "created_at >= ?", f.Since)
	w.add(f.Until != nil, "created_at < ?", f.Until)
	if key, id := f.After.after(); key != nil {
		w.add(true, "(created_at, id) "+beyond+" (?::text::timestamptz, ?)", key, id)
	}
	items, err := q.entries(ctx, w, "created_at "+direction+", id "+direction, f.Limit+1)
	if err != nil {
		return nil, nil, err
	}
	items, next := page(items, f.Limit, func(a controlplane.AuditEntry) *Cursor { return at(a.CreatedAt, a.ID) })
	return items, next, nil
}

// EventFilter says which events to list.
type EventFilter struct {
	Type      string
	DomainID  string   // that it is about
	DomainIDs []string // only about these; nil: all
	After     int64    // seq; exclusive
	UpTo      int64    // seq, at most the horizon; inclusive
	Newest    bool     // first
	Limit     int
}

// Events returns events (controlplane.EventKinds) in the order of the log. Where UpTo is at
// most the horizon, none that comes between them is missing.
func (q queries) Events(ctx context.Context, orgID string, f EventFilter) ([]controlplane.AuditEntry, error) {
	w := newWhere(orgID)
	w.add(true, "seq > ?", f.After)
	w.add(true, "seq <= ?", f.UpTo)
	w.add(true, "split_part(action, '.', 1) = ANY(?)", controlplane.EventKinds())
	w.add(f.Type != "", "action = ?", f.Type)
	w.add(f.DomainID != "", aboutDomain+" = ?", f.DomainID)
	w.add(f.DomainIDs != nil, aboutDomain+" = ANY(?)", f.DomainIDs)
	order := "seq"
	if f.Newest {
		order = "seq DESC"
	}
	return q.entries(ctx, w, order, f.Limit)
}

// LogHorizon returns the seq up to which every entry of the log, of any organization, is
// decided: what can be read there now is all that ever will be. settled is false where more
// has been begun behind it. Read in a later statement; see 00007_log_order.sql.
func (q queries) LogHorizon(ctx context.Context) (seq int64, settled bool, err error) {
	var last int64
	if err := q.db.QueryRow(ctx, `SELECT audit_logs_horizon(), audit_logs_last()`).Scan(&seq, &last); err != nil {
		return 0, false, translate(err, "", "")
	}
	return seq, seq >= last, nil
}

// EntrySeq returns where an entry stands in the log.
func (q queries) EntrySeq(ctx context.Context, orgID, id string) (int64, error) {
	var seq int64
	err := q.db.QueryRow(ctx, `SELECT seq FROM audit_logs WHERE org_id = $1 AND id = $2`, orgID, id).Scan(&seq)
	return seq, translate(err, "event", id)
}

func (q queries) entries(ctx context.Context, w *where, order string, limit int) ([]controlplane.AuditEntry, error) {
	rows, err := q.db.Query(ctx, `SELECT `+auditColumns+` FROM audit_logs WHERE `+strings.Join(w.conds, " AND ")+
		` ORDER BY `+order+` LIMIT `+strconv.Itoa(limit), w.args...)
	if err != nil {
		return nil, translate(err, "", "")
	}
	items, err := pgx.CollectRows(rows, scanAudit)
	return items, translate(err, "", "")
}

// where is a list of conditions that all hold, the organization first.
type where struct {
	conds []string
	args  []any
}

func newWhere(orgID string) *where {
	return &where{conds: []string{"org_id = $1"}, args: []any{orgID}}
}

// add adds a condition where it is wanted; each "?" stands for one of the values.
func (w *where) add(wanted bool, cond string, values ...any) {
	if !wanted {
		return
	}
	for _, v := range values {
		w.args = append(w.args, v)
		cond = strings.Replace(cond, "?", fmt.Sprintf("$%d", len(w.args)), 1)
	}
	w.conds = append(w.conds, cond)
}
