package postgres

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// SetOrderAside sets an order aside at its step, under the claim: the domain can have another one,
// and the CA is polled for it from pollAt on. The entry is logged the first time. It returns
// ErrClaimLost if the worker no longer holds the job.
func (s *Store) SetOrderAside(
	ctx context.Context, c *Claim, o *controlplane.Order, v controlplane.Verdict,
	a controlplane.AuditEntry, pollAt, now time.Time,
) error {
	if o.Step != controlplane.StepSetAside {
		o.ResumeStep = o.Step
	}
	o.Step, o.ErrorCode, o.ErrorDetail = controlplane.StepSetAside, v.Code, v.Message
	return s.underClaim(ctx, true, c, setOrderAside, merge(orderArgs(o, now), entryArgs(&a),
		named{"resume_step": o.ResumeStep, "poll_at": pollAt}))
}

// A statement that may have been committed is sent again: the entry is written only for an order
// that was never set aside before.
var setOrderAside = newUnderClaim(`, before AS (
		SELECT resume_step = '' AS first FROM acme_orders WHERE org_id = @org_id AND id = @order_id
	), saved AS (
		UPDATE acme_orders o SET ` + setOrder + `, resume_step = @resume_step, poll_at = @poll_at
		FROM held WHERE o.org_id = @org_id AND o.id = @order_id
		RETURNING o.id
	), entry AS (` + insertEntry + ` FROM saved, before WHERE before.first)
	SELECT 1 FROM saved`)

// SetAsideOrders returns the domain's orders that were set aside, oldest first.
func (q queries) SetAsideOrders(
	ctx context.Context, orgID, domainID string,
) ([]controlplane.Order, error) {
	return all(ctx, q, scanOrder, `SELECT `+orderColumns+` FROM acme_orders o
		WHERE o.org_id = $1 AND o.domain_id = $2 AND o.step = 'set-aside' ORDER BY o.created_at, o.id`,
		orgID, domainID)
}

// ReopenOrder makes an order that was set aside the one in progress again. It returns false if it
// is not set aside any longer. The transaction must hold the claim of the domain's job.
func (t *Tx) ReopenOrder(ctx context.Context, o *controlplane.Order, now time.Time) (bool, error) {
	tag, err := t.db.Exec(ctx, `UPDATE acme_orders SET step = resume_step, poll_at = NULL, updated_at = @now
		WHERE org_id = @org_id AND id = @order_id AND step = 'set-aside'`,
		named{"org_id": o.OrgID, "order_id": o.ID, "now": now})
	if err != nil || tag.RowsAffected() == 0 {
		return false, translate(err, "", "")
	}
	o.Step = o.ResumeStep
	return true, nil
}

// DueSetAside returns up to limit orders that were set aside and whose poll is due at now, and
// postpones each until the given time: meanwhile no other replica gets it, and if this one dies, it
// is due again. Their challenges stay published until live.
func (s *Store) DueSetAside(
	ctx context.Context, now, until, live time.Time, limit int,
) ([]controlplane.Order, error) {
	return all(ctx, s.queries, scanOrder, `
		WITH due AS (
			SELECT id, org_id FROM acme_orders WHERE step = 'set-aside' AND poll_at <= @now
			ORDER BY poll_at LIMIT @limit FOR NO KEY UPDATE SKIP LOCKED
		), kept AS (
			UPDATE challenges c SET expires_at = @live FROM (
				SELECT v.target, v.value FROM due JOIN challenges v ON v.order_id = due.id
				UNION
				SELECT v.target, v.value FROM due JOIN challenges v ON v.org_id = due.org_id AND v.shared_with <> '{}' AND due.id = ANY(v.shared_with)
			) k WHERE c.target = k.target AND c.value = k.value AND c.expires_at < @live
		)
		UPDATE acme_orders o SET poll_at = @until, polls = o.polls + 1 FROM due WHERE o.id = due.id
		RETURNING `+orderColumns, named{"now": now, "until": until, "live": live, "limit": limit})
}

// PollSetAside schedules the next poll of an order that was set aside.
func (q queries) PollSetAside(ctx context.Context, orgID, id string, at time.Time) error {
	_, err := q.db.Exec(ctx, `UPDATE acme_orders SET poll_at = $3
		WHERE org_id = $1 AND id = $2 AND step = 'set-aside'`, orgID, id, at)
	return translate(err, "", "")
}

// TakeSetAside locks an order until the transaction ends. It returns false if it is not set aside
// any longer.
func (t *Tx) TakeSetAside(ctx context.Context, orgID, id string) (bool, error) {
	tag, err := t.db.Exec(ctx, `SELECT id FROM acme_orders
		WHERE org_id = $1 AND id = $2 AND step = 'set-aside' FOR NO KEY UPDATE`, orgID, id)
	return tag.RowsAffected() > 0, translate(err, "", "")
}

// ExtendChallenges publishes the challenges of an order in progress again, until expires, under the
// claim. It returns ErrClaimLost if the worker no longer holds the job, and ErrTargetGone if one of
// the targets was removed.
func (s *Store) ExtendChallenges(
	ctx context.Context, c *Claim, o *controlplane.Order, expires, now time.Time,
) error {
	return unlessTargetGone(s.underClaim(ctx, false, c, extendChallenges,
		merge(challengeArgs(o, expires),
			named{"org_id": o.OrgID, "order_id": o.ID, "now": now})))
}

var extendChallenges = newUnderClaim(`, published AS (
		INSERT INTO challenges (target, value, org_id, domain_id, order_id, expires_at, created_at)
		SELECT v.target, v.value, @org_id, @domain, @order_id, @challenge_expires_at, @now FROM held, ` + publishedValues + `
		` + republish + `
	)
	SELECT one FROM held`)

// StoreCollected writes what the certificate of an order that was set aside changes, for a domain
// and an order that the transaction has locked.
func (t *Tx) StoreCollected(ctx context.Context, k Issuance, now time.Time) error {
	d := k.Domain
	if err := t.AddCertificate(ctx, k.Certificate, k.Replaces); err != nil {
		return err
	}
	if err := t.CloseOrder(ctx, k.Order, controlplane.StepStored, "", "", now); err != nil {
		return err
	}
	if err := t.SaveDomain(ctx, d, now); err != nil {
		return err
	}
	if err := t.BeginRenewalWatch(ctx, d.OrgID, d.ID, k.Watch); err != nil {
		return err
	}
	if err := t.CompleteQueued(ctx, d, k.Result, now); err != nil {
		return err
	}
	return t.Audit(ctx, k.Entry)
}

// CompleteQueued completes the domain's queued job for its certificate, if it has one: the
// certificate was stored without it.
func (t *Tx) CompleteQueued(
	ctx context.Context, d *controlplane.Domain, result map[string]any, now time.Time,
) error {
	_, err := t.db.Exec(ctx, `UPDATE jobs SET status = 'succeeded', reason = '', result = @result, updated_at = @now
		WHERE org_id = @org_id AND domain_id = @domain_id AND slot = @slot AND status = 'queued'`,
		named{"org_id": d.OrgID, "domain_id": d.ID, "slot": controlplane.JobStartIssuance.Slot(),
			"result": result, "now": now})
	return translate(err, "", "")
}
