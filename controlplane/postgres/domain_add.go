package postgres

import (
	"context"
	"maps"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Addition is a new domain with its first job and its audit entry.
type Addition struct {
	Domain *controlplane.Domain
	Job    *controlplane.Job
	Entry  controlplane.AuditEntry
}

// AddDomain stores a new domain with its first job and its audit entry, and counts it and its
// delegations against the organization's limits. If one of them is reached, it stores nothing and
// returns false. It returns KindConflict, with the existing domain, if the organization has a
// domain of that name. It reads the results of the delegations that exist already.
func (s *Store) AddDomain(
	ctx context.Context, d *controlplane.Domain, j *controlplane.Job, a controlplane.AuditEntry,
) (bool, error) {
	args, err := (&Addition{d, j, a}).args()
	if err != nil {
		return false, err
	}
	var tag pgconn.CommandTag
	b := &pgx.Batch{}
	b.Queue(`SELECT `+delegationResults+` FROM delegations g WHERE g.org_id = @org_id AND g.name = ANY(@bases)`,
		named{"org_id": d.OrgID, "bases": d.Bases()}).QueryRow(func(row pgx.Row) error { return row.Scan(&d.Delegations) })
	b.Queue(addDomain, args).Exec(func(t pgconn.CommandTag) error { tag = t; return nil })
	err = pooled{s.pool}.sendPart(ctx, b)
	switch violates(err) {
	case "domains_org_id_name_key", "domains_cname_target_key":
		// The target is a function of organization and name, so both mean the same.
		existing := ""
		if old, err := s.Domain(ctx, d.OrgID, d.Name); err == nil {
			existing = old.ID
		}
		return false, controlplane.DomainExists(d.Name, existing)
	}
	if err != nil {
		return false, translate(err, "domain", d.Name)
	}
	results := make(map[string]controlplane.DelegationResult)
	for _, name := range d.Bases() {
		results[name] = controlplane.DelegationResult{State: controlplane.DelegationUnchecked}
	}
	maps.Copy(results, d.Delegations)
	d.Delegations = results
	return tag.RowsAffected() == 1, nil
}

// domainLimit is Organization.MaxDomains.
const domainLimit = `coalesce(domain_limit, CASE subscription_tier WHEN 'free' THEN @free::int WHEN 'pro' THEN @pro::int ELSE @agency::int END)`

var addDomain = `
	WITH org AS (
		UPDATE organizations o SET domain_count = domain_count + 1
		FROM (SELECT cardinality(@bases::text[]) - count(*) AS n FROM delegations g WHERE g.org_id = @org_id AND g.name = ANY(@bases)) fresh
		WHERE id = @org_id AND deleted_at IS NULL AND domain_count < ` + domainLimit + `
			AND (fresh.n = 0 OR delegation_count + fresh.n <= coalesce(delegation_limit, greatest(` + domainLimit + `,
				CASE subscription_tier WHEN 'free' THEN @free_delegations::int WHEN 'pro' THEN @pro_delegations::int ELSE @agency_delegations::int END)))
		RETURNING id
	), dom AS (
		INSERT INTO domains (id, org_id, name, cname_target, targets, status, status_reason, ` + domainOptions.list("") + `,
			conditions, check_since, created_at, updated_at)
		SELECT @domain_id, org.id, @name, @target, @targets::jsonb, @status, @status_reason, ` + domainOptions.placeholders() + `,
			@conditions, @created_at, @created_at, @created_at FROM org
		RETURNING id
	), job AS (` + insertJob + ` FROM dom)
	` + insertEntry + ` FROM dom`

func (a *Addition) args() (named, error) {
	domain, err := domainArgs(a.Domain)
	return merge(domain, jobArgs(a.Job), entryArgs(&a.Entry),
		named{"name": a.Domain.Name, "target": a.Domain.Target, "bases": a.Domain.Bases(),
			"created_at": a.Domain.CreatedAt, "free": controlplane.TierFree.Domains(),
			"pro":                controlplane.TierPro.Domains(),
			"agency":             controlplane.TierAgency.Domains(),
			"free_delegations":   controlplane.TierFree.Delegations(),
			"pro_delegations":    controlplane.TierPro.Delegations(),
			"agency_delegations": controlplane.TierAgency.Delegations()}), err
}
