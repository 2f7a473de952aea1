package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const orderColumns = `o.id, o.org_id, o.domain_id, o.job_id, o.ca, o.step, o.names, o.target, o.key_type, o.profile, o.preferred_chain,
	o.replaces, o.csr, o.sealed_key, o.order_url, o.certificate_url, o.txt_values, o.error_code, o.error_detail, o.expires_at, o.created_at, o.updated_at`

func scanOrder(row pgx.CollectableRow) (controlplane.Order, error) {
	var o controlplane.Order
	var expires *time.Time
	err := row.Scan(&o.ID, &o.OrgID, &o.DomainID, &o.JobID, &o.CA, &o.Step, &o.Names, &o.Target, &o.KeyType, &o.Profile, &o.PreferredChain,
		&o.Replaces, &o.CSR, &o.SealedKey, &o.OrderURL, &o.CertificateURL, &o.Values, &o.ErrorCode, &o.ErrorDetail, &expires, &o.CreatedAt, &o.UpdatedAt)
	if expires != nil {
		o.ExpiresAt = *expires
	}
	return o, err
}

// OpenOrder returns the domain's order that is under way, nil if there is none.
func (q queries) OpenOrder(ctx context.Context, orgID, domainID string) (*controlplane.Order, error) {
	rows, err := q.db.Query(ctx, `SELECT `+orderColumns+` FROM acme_orders o
		WHERE o.org_id = $1 AND o.domain_id = $2 AND o.step NOT IN ('stored', 'failed')`, orgID, domainID)
	if err != nil {
		return nil, translate(err, "", "")
	}
	orders, err := pgx.CollectRows(rows, scanOrder)
	if err != nil || len(orders) == 0 {
		return nil, translate(err, "", "")
	}
	return &orders[0], nil
}

// Order returns one order.
func (q queries) Order(ctx context.Context, orgID, id string) (*controlplane.Order, error) {
	rows, err := q.db.Query(ctx, `SELECT `+orderColumns+` FROM acme_orders o WHERE o.org_id = $1 AND o.id = $2`, orgID, id)
	if err != nil {
		return nil, translate(err, "order", id)
	}
	o, err := pgx.CollectExactlyOneRow(rows, scanOrder)
	if err != nil {
		return nil, translate(err, "order", id)
	}
	return &o, nil
}

// BeginOrder stores a new order with its audit entry, while the claim holds. A domain can have
// one under way at a time.
func (s *Store) BeginOrder(ctx context.Context, c *Claim, o *controlplane.Order, a controlplane.AuditEntry) error {
	args := append([]any{c.Job.ID, c.Worker, c.Job.DomainID}, auditArgs(&a)...)
	args = append(args, o.ID, o.OrgID, o.JobID, o.CA, o.Step, o.Names, o.Target, o.KeyType, o.Profile, o.PreferredChain, o.Replaces, o.CSR, o.SealedKey, o.CreatedAt)
	return s.underClaim(ctx, &s.concluding, c, beginOrder, args...)
}

var beginOrder = newClaimed(`, added AS (
		INSERT INTO acme_orders (id, org_id, domain_id, job_id, ca, step, names, target, key_type, profile, preferred_chain, replaces, csr, sealed_key, created_at, updated_at)
		SELECT $17, $18, $3, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $30 FROM held
		ON CONFLICT (id) DO NOTHING -- it is sent again where it is not known that it came
		RETURNING id
	), entry AS (` + insertAudit + ` SELECT ` + auditPlaces(4) + ` FROM added)
	SELECT one FROM held`)

// SaveOrder records how far an order has come, while the claim holds. That the CA has made
// the order is on disk when it returns; later steps the CA tells again, should the server
// crash.
func (s *Store) SaveOrder(ctx context.Context, c *Claim, o *controlplane.Order, now time.Time) error {
	g := &s.recording
	if o.Step == controlplane.StepOrdered {
		g = &s.concluding
	}
	err := s.underClaim(ctx, g, c, saveOrder, recordArgs(c, o, now)...)
	if err == nil {
		o.UpdatedAt = now
	}
	return err
}

// recordOrder writes how far an order has come; saved has a row where the claim holds.
const recordOrder = `, saved AS (
		UPDATE acme_orders o SET step = $6, order_url = $7, certificate_url = $8, txt_values = $9, replaces = $10,
			error_code = $11, error_detail = $12, expires_at = $13, updated_at = $14
		FROM held WHERE o.org_id = $4 AND o.id = $5
		RETURNING o.id
	)`

var saveOrder = newClaimed(recordOrder + ` SELECT 1 FROM saved`)

func recordArgs(c *Claim, o *controlplane.Order, now time.Time) []any {
	var expires *time.Time
	if !o.ExpiresAt.IsZero() {
		expires = &o.ExpiresAt
	}
	if o.Values == nil {
		o.Values = []string{}
	}
	return []any{c.Job.ID, c.Worker, c.Job.DomainID, o.OrgID, o.ID, o.Step, o.OrderURL, o.CertificateURL, o.Values, o.Replaces,
		o.ErrorCode, o.ErrorDetail, expires, now}
}

// PublishChallenges records an order as SaveOrder does and puts its TXT values into the zone,
// while the claim holds. Every replica of the name server is told when that is committed.
func (s *Store) PublishChallenges(ctx context.Context, c *Claim, o *controlplane.Order, expires, now time.Time) error {
	err := s.underClaim(ctx, &s.recording, c, publishChallenges, append(recordArgs(c, o, now), o.Target, expires)...)
	if err == nil {
		o.UpdatedAt = now
	}
	return err
}

var publishChallenges = newClaimed(recordOrder + `, published AS (
		INSERT INTO challenges (target, value, org_id, domain_id, order_id, expires_at, created_at)
		SELECT $15, v, $4, $3, saved.id, $16, $14 FROM saved, unnest($9::text[]) v
		ON CONFLICT (target, value) DO UPDATE SET expires_at = excluded.expires_at, order_id = excluded.order_id
	)
	SELECT 1 FROM saved`)

// claimed is a statement that begins with holdClaim and gives one row where the claim holds.
type claimed struct {
	free string // gives none, either, where somebody has the domain or the job locked for a moment
	sure string
}

func newClaimed(rest string) claimed {
	return claimed{free: holdClaimFree + rest, sure: holdClaim + rest}
}

// underClaim sends a statement together with those of other workers, and waits for a lock by
// itself alone. Errors: ErrClaimLost.
func (s *Store) underClaim(ctx context.Context, g *group, c *Claim, what claimed, args ...any) error {
	read := func(row pgx.Row) error { return row.Scan(new(int)) }
	err := g.queryRow(ctx, c.Job.ID, read, what.free, args...)
	if errors.Is(err, pgx.ErrNoRows) {
		err = read(g.pool.QueryRow(ctx, what.sure, args...))
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrClaimLost
	}
	return translate(err, "domain", c.Job.DomainID)
}

// CloseOrder ends an order, so that another can be begun, and removes its challenges.
func (t *Tx) CloseOrder(ctx context.Context, o *controlplane.Order, step controlplane.OrderStep, code, detail string, now time.Time) error {
	_, err := t.db.Exec(ctx, `
		WITH removed AS (DELETE FROM challenges WHERE org_id = $1 AND order_id = $2)
		UPDATE acme_orders SET step = $3, certificate_url = $4, error_code = $5, error_detail = $6, updated_at = $7 WHERE org_id = $1 AND id = $2`,
		o.OrgID, o.ID, step, o.CertificateURL, code, detail, now)
	return translate(err, "", "")
}
