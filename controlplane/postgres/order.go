package postgres

import (
	"context"
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

// AddOrder stores a new order. A domain can have one under way at a time.
func (t *Tx) AddOrder(ctx context.Context, o *controlplane.Order) error {
	_, err := t.db.Exec(ctx, `
		INSERT INTO acme_orders (id, org_id, domain_id, job_id, ca, step, names, target, key_type, profile, preferred_chain, replaces, csr, sealed_key, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)`,
		o.ID, o.OrgID, o.DomainID, o.JobID, o.CA, o.Step, o.Names, o.Target, o.KeyType, o.Profile, o.PreferredChain, o.Replaces, o.CSR, o.SealedKey, o.CreatedAt)
	return translate(err, "domain", o.DomainID)
}

// SaveOrder records how far an order has come, while the claim holds. That the CA has made
// the order is on disk when it returns; later steps the CA tells again, should the server
// crash.
func (s *Store) SaveOrder(ctx context.Context, c *Claim, o *controlplane.Order, now time.Time) error {
	var expires *time.Time
	if !o.ExpiresAt.IsZero() {
		expires = &o.ExpiresAt
	}
	if o.Values == nil {
		o.Values = []string{}
	}
	pool := s.lazy
	if o.Step == controlplane.StepOrdered {
		pool = s.pool
	}
	tag, err := pool.Exec(ctx, holdClaim+`
		UPDATE acme_orders SET step = $6, order_url = $7, certificate_url = $8, txt_values = $9, replaces = $10,
			error_code = $11, error_detail = $12, expires_at = $13, updated_at = $14
		FROM held WHERE org_id = $4 AND id = $5`,
		c.Job.ID, c.Worker, c.Job.DomainID, o.OrgID, o.ID, o.Step, o.OrderURL, o.CertificateURL, o.Values, o.Replaces, o.ErrorCode, o.ErrorDetail, expires, now)
	if err == nil && tag.RowsAffected() == 0 {
		return ErrClaimLost
	}
	o.UpdatedAt = now
	return translate(err, "", "")
}

// CloseOrder ends an order, so that another can be begun, and removes its challenges.
func (t *Tx) CloseOrder(ctx context.Context, o *controlplane.Order, step controlplane.OrderStep, code, detail string, now time.Time) error {
	_, err := t.db.Exec(ctx, `UPDATE acme_orders SET step = $3, error_code = $4, error_detail = $5, updated_at = $6 WHERE org_id = $1 AND id = $2`,
		o.OrgID, o.ID, step, code, detail, now)
	if err == nil {
		_, err = t.db.Exec(ctx, `DELETE FROM challenges WHERE org_id = $1 AND order_id = $2`, o.OrgID, o.ID)
	}
	return translate(err, "", "")
}

// PublishChallenges puts an order's TXT values into the zone, while the claim holds. Every
// replica of the name server is told when the transaction commits.
func (s *Store) PublishChallenges(ctx context.Context, c *Claim, o *controlplane.Order, expires, now time.Time) error {
	tag, err := s.lazy.Exec(ctx, holdClaim+`
		INSERT INTO challenges (target, value, org_id, domain_id, order_id, expires_at, created_at)
		SELECT $4, v, $6, $3, $7, $8, $9 FROM held, unnest($5::text[]) v
		ON CONFLICT (target, value) DO UPDATE SET expires_at = excluded.expires_at, order_id = excluded.order_id`,
		c.Job.ID, c.Worker, c.Job.DomainID, o.Target, o.Values, o.OrgID, o.ID, expires, now)
	if err == nil && tag.RowsAffected() == 0 && len(o.Values) > 0 {
		return ErrClaimLost
	}
	return translate(err, "", "")
}
