package postgres

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// aboutDomain is the domain that an entry is about, regardless of its entity. For an entry that is
// not about a domain it is the entity. It has an index.
const aboutDomain = `coalesce(details ->> 'domain_id', entity_id)`

// LogFilter selects the entries of the log to list. The zero value lists all, newest first.
type LogFilter struct {
	ActorID   string
	Action    string
	EntityID  string     // the entity of the action
	DomainID  string     // the domain that the entry is about
	DomainIDs []string   // only entries about these; nil: all
	Since     *time.Time // inclusive
	Until     *time.Time // exclusive
	Oldest    bool       // oldest first
	After     *Cursor
	Limit     int
}

// ListLog returns one page of the log by time, and the cursor of the next one, nil on the last.
func (q queries) ListLog(
	ctx context.Context, orgID string, f LogFilter,
) ([]controlplane.AuditEntry, *Cursor, error) {
	l := listLog(orgID, f.DomainID, f.DomainIDs)
	l.where(f.ActorID != "", "actor_id = @actor_id", named{"actor_id": f.ActorID})
	person, _, _ := strings.Cut(f.ActorID, "_") // a person or their token: they have an index
	l.where(person == controlplane.PrefixUser || person == controlplane.PrefixToken,
		"actor_type <> 'system'", nil)
	l.where(f.Action != "", "action = @action", named{"action": f.Action})
	l.where(f.EntityID != "", "entity_id = @entity_id", named{"entity_id": f.EntityID})
	l.where(f.Since != nil, "created_at >= @since", named{"since": f.Since})
	l.where(f.Until != nil, "created_at < @until", named{"until": f.Until})
	l.sorted(sortKey{"created_at", "id", "timestamptz"}, !f.Oldest, f.After, f.Limit)
	return readPage(ctx, q, l, scanAudit,
		func(a controlplane.AuditEntry) *Cursor { return at(a.CreatedAt, a.ID) })
}

// listLog lists the entries of an organization. With a domainID it lists only those about that
// domain, and with domainIDs only those about one of these.
func listLog(orgID, domainID string, domainIDs []string) *list {
	l := newList(`SELECT `+auditColumns+` FROM audit_logs`, "org_id = @org_id",
		named{"org_id": orgID})
	l.where(domainID != "", aboutDomain+" = @domain_id", named{"domain_id": domainID})
	l.where(domainIDs != nil, aboutDomain+" = ANY(@domain_ids)", named{"domain_ids": domainIDs})
	return l
}

// EventFilter selects the events to list.
type EventFilter struct {
	Type      string
	DomainID  string   // the domain that the event is about
	DomainIDs []string // only events about these; nil: all
	After     int64    // seq; exclusive
	UpTo      int64    // seq, at most the horizon; inclusive
	Newest    bool     // newest first
	Limit     int
}

// Events returns events (controlplane.EventKinds) in the order of the log. If UpTo is at most the
// horizon, no event between them is missing.
func (q queries) Events(
	ctx context.Context, orgID string, f EventFilter,
) ([]controlplane.AuditEntry, error) {
	l := listLog(orgID, f.DomainID, f.DomainIDs)
	l.where(true, "seq > @after AND seq <= @up_to", named{"after": f.After, "up_to": f.UpTo})
	l.where(true, "split_part(action, '.', 1) = ANY(@kinds)",
		named{"kinds": controlplane.EventKinds()})
	l.where(f.Type != "", "action = @type", named{"type": f.Type})
	order := "seq"
	if f.Newest {
		order = "seq DESC"
	}
	// The limit is in the text: every follower of the feed runs this statement for each change, and
	// with a limit that is known its plan is made once.
	return all(ctx, q, scanAudit, l.sql+` WHERE `+strings.Join(l.conds, " AND ")+` ORDER BY `+order+
		` LIMIT `+strconv.Itoa(f.Limit), l.args)
}

// LogHorizon returns the seq up to which every entry of the log, of any organization, is committed
// or rolled back: no entry will be added there. settled is false if transactions are appending
// entries beyond it. Read the log in a later statement; see 00007_log_order.sql.
func (q queries) LogHorizon(ctx context.Context) (seq int64, settled bool, err error) {
	var last int64
	if err := q.db.QueryRow(ctx, `SELECT audit_logs_horizon(), audit_logs_last()`).Scan(&seq,
		&last); err != nil {
		return 0, false, translate(err, "", "")
	}
	return seq, seq >= last, nil
}

// EntrySeq returns the position of an entry in the log.
func (q queries) EntrySeq(ctx context.Context, orgID, id string) (int64, error) {
	var seq int64
	err := q.db.QueryRow(ctx, `SELECT seq FROM audit_logs WHERE org_id = $1 AND id = $2`, orgID,
		id).Scan(&seq)
	return seq, translate(err, "event", id)
}
