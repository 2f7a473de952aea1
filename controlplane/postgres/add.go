package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Addition is a new domain with its first job and its audit entry.
type Addition struct {
	Domain *controlplane.Domain
	Job    *controlplane.Job
	Entry  controlplane.AuditEntry
}

// AddDomain stores a new domain with its first job and its audit entry, and counts it against
// the organization's limit. Where the limit is reached it stores nothing and returns false.
// What is added by many is committed together, unless ctx carries a transaction.
func (s *Store) AddDomain(ctx context.Context, d *controlplane.Domain, j *controlplane.Job, a controlplane.AuditEntry) (bool, error) {
	if joined(ctx) != nil {
		return s.queries.AddDomain(ctx, d, j, a)
	}
	args, err := (&Addition{d, j, a}).args()
	if err != nil {
		return false, err
	}
	var id string
	err = s.adding.queryRow(ctx, d.OrgID, func(row pgx.Row) error { return row.Scan(&id) }, addDomainFree, args)
	if !errors.Is(err, pgx.ErrNoRows) {
		return err == nil, translate(err, "domain", d.Name)
	}
	// The other statement says why, or waits for the organization.
	stored, err := s.queries.AddDomain(ctx, d, j, a)
	if stored {
		return true, nil
	}
	// A group whose end was not heard of may have been committed: then this domain itself is
	// what stands in the way.
	if _, missing := s.Domain(ctx, d.OrgID, d.ID); missing == nil {
		return true, nil
	}
	return false, err
}

// AddDomain is the Store's, by itself.
func (q queries) AddDomain(ctx context.Context, d *controlplane.Domain, j *controlplane.Job, a controlplane.AuditEntry) (bool, error) {
	args, err := (&Addition{d, j, a}).args()
	if err != nil {
		return false, err
	}
	tag, err := q.db.Exec(ctx, addDomain, args)
	switch violates(err) {
	case "domains_org_id_name_key", "domains_cname_target_key":
		// The target is a function of organization and name, so both say the same.
		e := &controlplane.Error{Kind: controlplane.KindConflict, Code: "domain-exists",
			Message: "The domain " + d.Name + " is in this organization already.",
			Fix:     "Use the existing one, or delete it first."}
		if old, err := q.Domain(ctx, d.OrgID, d.Name); err == nil {
			e.ExistingID = old.ID
		}
		return false, e
	}
	if err != nil {
		return false, translate(err, "domain", d.Name)
	}
	return tag.RowsAffected() == 1, nil
}

const (
	addDomain = `
		WITH org AS (
			UPDATE organizations SET domain_count = domain_count + 1 WHERE ` + hasRoom + `
			RETURNING id
		), dom AS (` + insertDomain + `
			RETURNING id
		), job AS (` + insertJob + ` FROM dom)
		` + insertEntry + ` FROM dom`

	// addDomainFree is addDomain in a group, which must not wait for an organization, nor fail
	// for a domain that is there.
	addDomainFree = `
		WITH org AS MATERIALIZED (
			SELECT id FROM organizations WHERE ` + hasRoom + ` FOR NO KEY UPDATE SKIP LOCKED
		), dom AS (` + insertDomain + `
			ON CONFLICT DO NOTHING
			RETURNING id, org_id
		), counted AS (
			UPDATE organizations SET domain_count = domain_count + 1 FROM dom WHERE organizations.id = dom.org_id
		), job AS (` + insertJob + ` FROM dom
		), entry AS (` + insertEntry + ` FROM dom
		)
		SELECT id FROM dom`

	hasRoom = `id = @org_id AND domain_count < coalesce(domain_limit,
			CASE subscription_tier WHEN 'free' THEN @free::int WHEN 'pro' THEN @pro::int ELSE @agency::int END)`

	insertDomain = `
			INSERT INTO domains (id, org_id, name, cname_target, status, status_reason, wildcard, key_type, csr_pem, profile,
				preferred_chain, ca, auto_issue, auto_renew, labels, conditions, check_since, created_at, updated_at)
			SELECT @domain_id, org.id, @name, @target, @status, @status_reason, @wildcard, @key_type, @csr_pem, @profile,
				@preferred_chain, @ca, @auto_issue, @auto_renew, @labels, @conditions, @domain_created_at, @domain_created_at, @domain_created_at
			FROM org`
)

func (a *Addition) args() (named, error) {
	domain, err := domainArgs(a.Domain)
	return merge(domain, jobArgs(a.Job), entryArgs(&a.Entry), named{"name": a.Domain.Name, "target": a.Domain.Target,
		"domain_created_at": a.Domain.CreatedAt, "free": controlplane.TierFree.Domains(), "pro": controlplane.TierPro.Domains(),
		"agency": controlplane.TierAgency.Domains()}), err
}
