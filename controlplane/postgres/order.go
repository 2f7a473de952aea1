package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const orderColumns = `o.id, o.org_id, o.domain_id, o.job_id, o.ca, o.step, o.names, o.target, o.key_type, o.profile, o.preferred_chain,
	o.replaces, o.csr, o.sealed_key, o.order_url, o.certificate_url, o.txt_values, o.error_code, o.error_detail, o.expires_at, o.created_at, o.updated_at, o.resume_step, o.polls, o.options_revision, o.account, o.targets, o.txt_targets`

func scanOrder(row pgx.CollectableRow) (controlplane.Order, error) {
	var o controlplane.Order
	var expires *time.Time
	var values, targets []string
	err := row.Scan(&o.ID, &o.OrgID, &o.DomainID, &o.JobID, &o.CA, &o.Step, &o.Names, &o.Target,
		&o.KeyType, &o.Profile, &o.PreferredChain,
		&o.Replaces, &o.CSR, &o.SealedKey, &o.OrderURL, &o.CertificateURL, &values, &o.ErrorCode,
		&o.ErrorDetail, &expires, &o.CreatedAt, &o.UpdatedAt, &o.ResumeStep, &o.Polls,
		&o.OptionsRevision, &o.Account, &o.Targets, &targets)
	o.Values = txtValues(o.Target, values, targets)
	if expires != nil {
		o.ExpiresAt = *expires
	}
	return o, err
}

// OpenOrder returns the domain's order in progress, nil if it has none.
func (q queries) OpenOrder(
	ctx context.Context, orgID, domainID string,
) (*controlplane.Order, error) {
	orders, err := all(ctx, q, scanOrder, `SELECT `+orderColumns+` FROM acme_orders o
		WHERE o.org_id = $1 AND o.domain_id = $2 AND o.step NOT IN ('stored', 'failed', 'set-aside')`, orgID, domainID)
	if err != nil || len(orders) == 0 {
		return nil, err
	}
	return &orders[0], nil
}

// Order returns one order.
func (q queries) Order(ctx context.Context, orgID, id string) (*controlplane.Order, error) {
	return one(ctx, q, scanOrder, "order", id, `SELECT `+orderColumns+
		` FROM acme_orders o WHERE o.org_id = $1 AND o.id = $2`, orgID, id)
}

// BeginOrder stores a new order with its audit entry, under the claim. A domain can have one order
// in progress at a time. It returns ErrClaimLost if the worker no longer holds the job.
func (s *Store) BeginOrder(
	ctx context.Context, c *Claim, o *controlplane.Order, a controlplane.AuditEntry,
) error {
	return s.underClaim(ctx, true, c, beginOrder, merge(entryArgs(&a), named{
		"order_id": o.ID, "org_id": o.OrgID, "job_id": o.JobID, "ca": o.CA, "step": o.Step,
		"names": o.Names, "target": o.Target, "targets": targetsOf(o),
		"key_type": o.KeyType, "profile": o.Profile, "preferred_chain": o.PreferredChain,
		"replaces": o.Replaces, "csr": o.CSR,
		"sealed_key": o.SealedKey, "created_at": o.CreatedAt,
		"options_revision": o.OptionsRevision, "account": controlplane.AccountOf(o.Account)}))
}

// A statement that may have been committed is sent again, hence ON CONFLICT.
var beginOrder = newUnderClaim(`, added AS (
		INSERT INTO acme_orders (id, org_id, domain_id, job_id, ca, step, names, target, key_type, profile, preferred_chain,
			replaces, csr, sealed_key, options_revision, account, targets, created_at, updated_at)
		SELECT @order_id, @org_id, @domain, @job_id, @ca, @step, @names, @target, @key_type, @profile, @preferred_chain,
			@replaces, @csr, @sealed_key, @options_revision, @account, @targets, @created_at, @created_at FROM held
		ON CONFLICT (id) DO NOTHING
		RETURNING id
	), entry AS (` + insertEntry + ` FROM added)
	SELECT one FROM held`)

// SaveOrder records the progress of an order, under the claim. When it returns for the step
// ordered, the step is on disk. Later steps need not be: the CA reports them again if the server
// crashes. It returns ErrClaimLost if the worker no longer holds the job.
func (s *Store) SaveOrder(
	ctx context.Context, c *Claim, o *controlplane.Order, now time.Time,
) error {
	err := s.underClaim(ctx, o.Step == controlplane.StepOrdered, c, saveOrder, orderArgs(o, now))
	if err == nil {
		o.UpdatedAt = now
	}
	return err
}

// recordOrder records the progress of an order, with orderArgs; its CTE saved has a row if the
// claim holds.
const recordOrder = `, saved AS (
		UPDATE acme_orders o SET ` + setOrder + `
		FROM held WHERE o.org_id = @org_id AND o.id = @order_id
		RETURNING o.id
	)`

// setOrder is the part of an UPDATE that writes the progress of an order, with orderArgs.
const setOrder = `step = @step, order_url = @order_url, certificate_url = @certificate_url, txt_values = @values, txt_targets = @targets_of_values,
			replaces = @replaces, error_code = @error_code, error_detail = @error_detail, expires_at = @expires_at, updated_at = @now`

var saveOrder = newUnderClaim(recordOrder + ` SELECT 1 FROM saved`)

func orderArgs(o *controlplane.Order, now time.Time) named {
	var expires *time.Time
	if !o.ExpiresAt.IsZero() {
		expires = &o.ExpiresAt
	}
	values, targets := splitValues(o.Values)
	if !slices.ContainsFunc(targets, func(t string) bool { return t != o.Target }) {
		targets = []string{}
	}
	return named{"org_id": o.OrgID, "order_id": o.ID, "step": o.Step, "order_url": o.OrderURL,
		"certificate_url": o.CertificateURL,
		"values":          values, "targets_of_values": targets,
		"replaces": o.Replaces, "error_code": o.ErrorCode,
		"error_detail": o.ErrorDetail,
		"expires_at":   expires, "now": now}
}

// ErrTargetGone says that a target of an order no longer exists: the domain no longer has the name.
// Nothing of the write that returned it was stored.
var ErrTargetGone = errors.New("postgres: a target of the order no longer exists")

// PublishChallenges records an order like SaveOrder and publishes its TXT values in the zone, under
// the claim. The commit notifies every replica of the name server. It returns ErrClaimLost if the
// worker no longer holds the job, and ErrTargetGone if one of the targets was removed.
func (s *Store) PublishChallenges(
	ctx context.Context, c *Claim, o *controlplane.Order, expires, now time.Time,
) error {
	err := unlessTargetGone(s.underClaim(ctx, false, c, publishChallenges,
		merge(orderArgs(o, now), challengeArgs(o, expires))))
	if err == nil {
		o.UpdatedAt = now
	}
	return err
}

var publishChallenges = newUnderClaim(recordOrder + `, published AS (
		INSERT INTO challenges (target, value, org_id, domain_id, order_id, expires_at, created_at)
		SELECT v.target, v.value, @org_id, @domain, saved.id, @challenge_expires_at, @now FROM saved, ` + publishedValues + `
		` + republish + `
	)
	SELECT 1 FROM saved`)

func unlessTargetGone(err error) error {
	if violates(err) == "challenges_target" {
		return ErrTargetGone
	}
	return err
}

// publishedValues has the values of an order with their targets, with challengeArgs.
const publishedValues = `unnest(@published_at::text[], @published::text[]) AS v (target, value)`

func challengeArgs(o *controlplane.Order, expires time.Time) named {
	values, targets := splitValues(o.Values)
	return named{"published": values, "published_at": targets, "challenge_expires_at": expires}
}

// splitValues returns the values, and the target of each.
func splitValues(txt []controlplane.TXT) (values, targets []string) {
	values, targets = make([]string, len(txt)), make([]string, len(txt))
	for i, one := range txt {
		values[i], targets[i] = one.Value, one.Target
	}
	return values, targets
}

// txtValues returns the values with their targets. Without targets, all are at target.
func txtValues(target string, values, targets []string) []controlplane.TXT {
	txt := make([]controlplane.TXT, len(values))
	for i, value := range values {
		txt[i] = controlplane.TXT{Target: target, Value: value}
		if len(targets) == len(values) {
			txt[i].Target = targets[i]
		}
	}
	return txt
}

func targetsOf(o *controlplane.Order) map[string]string {
	if o.Targets == nil {
		return map[string]string{}
	}
	return o.Targets
}

// CloseOrder closes an order, so that the domain can have another one, and removes its key, its
// CSR, and its challenges, except for those that another order has too.
func (t *Tx) CloseOrder(
	ctx context.Context, o *controlplane.Order, step controlplane.OrderStep, code, detail string,
	now time.Time,
) error {
	_, err := t.db.Exec(ctx, `
		WITH `+releaseValues(releasedOrder, "true")+`
		UPDATE acme_orders SET step = @step, certificate_url = @certificate_url, error_code = @error_code,
			error_detail = @error_detail, updated_at = @now, `+withoutSecrets+`
		WHERE org_id = @org_id AND id = @order_id`,
		named{"org_id": o.OrgID, "order_id": o.ID, "step": step,
			"certificate_url": o.CertificateURL,
			"error_code":      code, "error_detail": detail, "now": now})
	return translate(err, "", "")
}
