package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// domainOptions are the options of a domain. Every statement that reads or writes domains has them.
var domainOptions = columns[controlplane.Domain]{
	{"wildcard", func(d *controlplane.Domain) any { return &d.Wildcard }},
	{"additional_names", func(d *controlplane.Domain) any { return &d.AdditionalNames }},
	{"issue_partial", func(d *controlplane.Domain) any { return &d.IssuePartial }},
	{"key_type", func(d *controlplane.Domain) any { return (*string)(&d.KeyType) }},
	{"csr_pem", func(d *controlplane.Domain) any { return &d.CSRPEM }},
	{"profile", func(d *controlplane.Domain) any { return &d.Profile }},
	{"preferred_chain", func(d *controlplane.Domain) any { return &d.PreferredChain }},
	{"ca", func(d *controlplane.Domain) any { return &d.CA }},
	{"auto_issue", func(d *controlplane.Domain) any { return &d.AutoIssue }},
	{"auto_renew", func(d *controlplane.Domain) any { return &d.AutoRenew }},
	{"labels", func(d *controlplane.Domain) any { return &d.Labels }},
	{"connection_id", func(d *controlplane.Domain) any { return &d.ConnectionID }},
}

var domainColumns = `d.id, d.org_id, d.name, d.cname_target, d.targets, d.status, d.status_reason, ` + domainOptions.list("d.") + `,
	d.conditions, d.certificate_id, d.expires_at, d.renew_at, d.retry_at, d.last_issued_at,
	d.options_revision, d.certificate_revision, d.reissue_at, d.check_since, d.check_attempts,
	d.forbidden_cas, d.version, d.created_at, d.updated_at`

func scanDomain(row pgx.CollectableRow) (controlplane.Domain, error) {
	var d controlplane.Domain
	err := row.Scan(domainFields(&d)...)
	return d, err
}

// domainFields are the destinations for domainColumns.
func domainFields(d *controlplane.Domain) []any {
	return slices.Concat(
		[]any{&d.ID, &d.OrgID, &d.Name, &d.Target, &d.Targets, (*string)(&d.Status),
			&d.StatusReason},
		domainOptions.fields(d),
		[]any{&d.Conditions, &d.CertificateID, &d.ExpiresAt, &d.RenewAt, &d.RetryAt,
			&d.LastIssuedAt, &d.OptionsRevision, &d.CertificateRevision, &d.ReissueAt,
			&d.CheckSince, &d.CheckAttempts, &d.ForbiddenCAs, &d.Version, &d.CreatedAt,
			&d.UpdatedAt})
}

// Domain returns a domain by its ID or its canonical name, with the results of its delegations.
func (q queries) Domain(ctx context.Context, orgID, ref string) (*controlplane.Domain, error) {
	return one(ctx, q, scanDelegated, "domain", ref, selectDelegated+
		` WHERE d.org_id = $1 AND d.`+domainKey(ref)+` = $2`, orgID, ref)
}

// DomainIDs returns the IDs of the organization's domains among refs, each an ID or a canonical
// name, by ref. A ref that names no domain is missing from the map.
func (q queries) DomainIDs(
	ctx context.Context, orgID string, refs []string,
) (map[string]string, error) {
	found := make(map[string]string, len(refs))
	if len(refs) == 0 {
		return found, nil
	}
	rows, err := q.db.Query(ctx, `SELECT id, name FROM domains WHERE org_id = $1 AND id = ANY($2)
		UNION ALL SELECT id, name FROM domains WHERE org_id = $1 AND name = ANY($2)`, orgID, refs)
	if err != nil {
		return nil, translate(err, "domain", "")
	}
	var id, name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		found[id], found[name] = id, id
		return nil
	})
	return found, translate(err, "domain", "")
}

// LockDomain is Domain, with the row locked until the transaction ends. InTx runs again from the
// start if another transaction keeps it locked.
func (t *Tx) LockDomain(ctx context.Context, orgID, ref string) (*controlplane.Domain, error) {
	return t.lockDomain(ctx, orgID, ref)
}

func (q queries) domain(
	ctx context.Context, orgID, ref, lock string,
) (*controlplane.Domain, error) {
	return one(ctx, q, scanDomain, "domain", ref, `SELECT `+domainColumns+
		` FROM domains d WHERE d.org_id = $1 AND d.`+domainKey(ref)+` = $2`+lock, orgID, ref)
}

// domainKey returns the column that a reference to a domain is a value of.
func domainKey(ref string) string {
	if strings.HasPrefix(ref, controlplane.PrefixDomain+"_") {
		return "id"
	}
	return "name"
}

// DomainFilter selects the domains to list. The zero value lists all, newest first.
type DomainFilter struct {
	Query         string // part of one of its names, in A-labels or Unicode
	Name          string // one of the names in its certificate, in canonical form
	Label         string // "key=value", or "key"
	Status        controlplane.DomainStatus
	Attention     bool // only those whose state needs attention, SummaryState.NeedsAttention
	ExpiresBefore *time.Time
	IDs           []string // only these; nil: all
	Sort          string   // created_at, name or expires_at, with the prefix "-" for descending
	After         *Cursor
	Before        *Cursor // instead of After: the page that ends before it
	Limit         int
}

// needsAttention selects the domains whose state needs attention. It is the condition of an index.
const needsAttention = "d.summary_state IN ('expired', 'revoked', 'at_risk', 'blocked')"

// domainExpiry is the time at which a domain's certificate expires. It has an index.
const domainExpiry = "coalesce(d.expires_at, 'infinity')"

// domainSorts are the keys that domains can be sorted by, each with an index behind it, and how the
// position of a row is written.
var domainSorts = map[string]struct {
	sortKey
	position func(controlplane.Domain) *Cursor
}{
	"created_at": {sortKey{"d.created_at", "d.id", "timestamptz"},
		func(d controlplane.Domain) *Cursor { return at(d.CreatedAt, d.ID) }},
	"name": {sortKey{"d.name", "d.id", "text"},
		func(d controlplane.Domain) *Cursor { return &Cursor{d.Name, d.ID} }},
	"expires_at": {sortKey{domainExpiry, "d.id", "timestamptz"},
		func(d controlplane.Domain) *Cursor {
			if d.ExpiresAt == nil {
				return &Cursor{"infinity", d.ID}
			}
			return at(*d.ExpiresAt, d.ID)
		}},
}

// ListDomains returns one page, and the cursor of the next one, nil on the last. With f.Before, it
// is the cursor of the page before this one, nil on the first.
func (q queries) ListDomains(
	ctx context.Context, orgID string, f DomainFilter,
) ([]controlplane.Domain, *Cursor, error) {
	l, position, err := f.list(orgID)
	if err != nil {
		return nil, nil, err
	}
	if err := q.wherePart(ctx, l, orgID, f.Query, domainsByPart); err != nil {
		return nil, nil, err
	}
	page, next, err := readPage(ctx, q, l, scanDelegated, position)
	if f.Before != nil {
		slices.Reverse(page)
	}
	return page, next, err
}

// DomainPosition returns the position of a domain in the list that the filter sorts.
func (f DomainFilter) DomainPosition(d controlplane.Domain) *Cursor {
	name, _ := f.sort()
	return domainSorts[name].position(d)
}

func (f DomainFilter) sort() (name string, descending bool) {
	return strings.CutPrefix(cmp.Or(f.Sort, "-created_at"), "-")
}

// domainsByPart selects domains by the delegations that they use, or by their names.
var domainsByPart = byPart{
	delegations: "d.id IN (SELECT u.domain_id FROM domain_delegations u WHERE u.delegation_id = ANY(@delegation_ids))",
	contains:    "(position(@part in d.name) > 0 OR position(@part in array_to_string(d.additional_names, ' ')) > 0)",
	unicode: "(" + hasUnicodeParts("d.name") + " OR EXISTS (SELECT FROM unnest(d.additional_names) n WHERE " +
		hasUnicodeParts("n") + "))",
}

// whereName selects the domains with a name in their certificate. Each of them uses the delegation
// of its base name.
const whereName = `d.id IN (SELECT u.domain_id FROM delegations g JOIN domain_delegations u ON u.delegation_id = g.id
		WHERE g.org_id = @org_id AND g.name = @base_name)
	AND (d.name = @name OR @name = ANY(d.additional_names) OR d.wildcard AND '*.' || d.name = @name)`

func (f DomainFilter) list(orgID string) (*list, func(controlplane.Domain) *Cursor, error) {
	name, descending := f.sort()
	sort, ok := domainSorts[name]
	if !ok {
		return nil, nil, fmt.Errorf("postgres: domains cannot be sorted by %q", f.Sort)
	}
	l := newList(selectDelegated, "d.org_id = @org_id",
		named{"org_id": orgID})
	key, value, pair := strings.Cut(f.Label, "=")
	l.where(f.Label != "", "d.labels <> '{}'", nil) // the condition of its index
	l.where(pair, "d.labels @> @label_pair", named{"label_pair": map[string]string{key: value}})
	l.where(!pair && key != "", "d.labels ? @label", named{"label": key})
	l.where(f.Status != "", "d.status = @status", named{"status": f.Status})
	// Most domains are active, and the index of the others has this condition.
	l.where(f.Status != "" && f.Status != controlplane.DomainActive, "d.status <> 'active'", nil)
	l.where(f.Attention, needsAttention, nil)
	l.where(f.ExpiresBefore != nil, domainExpiry+" < @expires_before",
		named{"expires_before": f.ExpiresBefore})
	l.where(f.IDs != nil, "d.id = ANY(@ids)", named{"ids": f.IDs})
	l.where(f.Name != "", whereName, named{"name": f.Name, "base_name": rules.BaseName(f.Name)})
	if f.Before != nil {
		l.sorted(sort.sortKey, !descending, f.Before, f.Limit)
	} else {
		l.sorted(sort.sortKey, descending, f.After, f.Limit)
	}
	return l, sort.position, nil
}

// SaveDomain writes every field of d that can change, and raises its version.
func (q queries) SaveDomain(ctx context.Context, d *controlplane.Domain, now time.Time) error {
	args, err := saveDomainArgs(d, now)
	if err != nil {
		return err
	}
	err = q.db.QueryRow(ctx, saveDomain, args).Scan(&d.Version, &d.UpdatedAt)
	return translate(err, "domain", d.ID)
}

var (
	saveDomain = `UPDATE domains d SET ` + setDomain +
		` WHERE d.org_id = @org_id AND d.id = @domain_id RETURNING d.version, d.updated_at`

	// setDomain is the part of an UPDATE that writes what SaveDomain writes, with saveDomainArgs.
	setDomain = `status = @status, status_reason = @status_reason, ` + domainOptions.set() + `, targets = @targets, conditions = @conditions,
		certificate_id = @certificate_id, expires_at = @expires_at, renew_at = @renew_at, retry_at = @retry_at,
		renewal_queued = d.renewal_queued AND d.renew_at IS NOT DISTINCT FROM @renew_at,
		options_revision = @options_revision, certificate_revision = @certificate_revision, reissue_at = @reissue_at,
		last_issued_at = @last_issued_at, check_since = @check_since, check_attempts = @check_attempts,
		forbidden_cas = @forbidden_cas, summary_state = @summary_state,
		summary_since = CASE WHEN d.summary_state = @summary_state THEN d.summary_since ELSE @now END, updated_at = @now, version = d.version + 1`
)

func saveDomainArgs(d *controlplane.Domain, now time.Time) (named, error) {
	if d.ForbiddenCAs == nil {
		d.ForbiddenCAs = []string{}
	}
	args, err := domainArgs(d)
	return merge(args, named{"certificate_id": d.CertificateID, "expires_at": d.ExpiresAt,
		"renew_at": d.RenewAt, "retry_at": d.RetryAt, "reissue_at": d.ReissueAt,
		"options_revision": d.OptionsRevision, "certificate_revision": d.CertificateRevision,
		"last_issued_at": d.LastIssuedAt, "check_since": d.CheckSince,
		"check_attempts": d.CheckAttempts,
		"forbidden_cas":  d.ForbiddenCAs, "summary_state": d.Summary(now).State, "now": now}), err
}

// domainArgs returns the arguments that name a domain, and those that a new one has, too.
func domainArgs(d *controlplane.Domain) (named, error) {
	if d.Labels == nil {
		d.Labels = map[string]string{}
	}
	if d.AdditionalNames == nil {
		d.AdditionalNames = []string{}
	}
	if d.Targets == nil {
		d.Targets = map[string]string{}
	}
	conditions, err := json.Marshal(d.Conditions)
	return merge(domainOptions.args(d), named{"org_id": d.OrgID, "domain_id": d.ID,
		"targets": d.Targets, "status": d.Status, "status_reason": d.StatusReason,
		"conditions": conditions}), err
}

// DeleteDomain removes a domain with its jobs, orders, challenges, and certificates. A challenge
// that the order of another domain has too is left to it.
func (q queries) DeleteDomain(ctx context.Context, orgID, id string) error {
	// The organization, which counts its domains, is locked first, as in AddDomain.
	tag, err := q.db.Exec(ctx, `
		WITH org AS MATERIALIZED (SELECT id FROM organizations WHERE id = @org_id AND deleted_at IS NULL FOR NO KEY UPDATE)
			, orders AS MATERIALIZED (SELECT o.id FROM acme_orders o JOIN org ON o.org_id = org.id WHERE o.domain_id = @domain_id FOR UPDATE OF o)
			, `+releaseValues("ARRAY(SELECT id FROM orders)", "EXISTS (SELECT FROM org)")+`
		DELETE FROM domains d USING org WHERE d.org_id = org.id AND d.id = @domain_id`,
		named{"org_id": orgID, "domain_id": id})
	if err == nil && tag.RowsAffected() == 0 {
		return controlplane.NotFound("domain", id)
	}
	return translate(err, "domain", id)
}
