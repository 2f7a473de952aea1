package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// DomainsCounted is the number up to which domains are counted. A greater count is one more.
const DomainsCounted = 10_000

// DomainCounts has how many domains of a list have each status, and how many need attention. The
// number of a status that is not known is missing.
type DomainCounts struct {
	All, Attention int
	ByStatus       map[controlplane.DomainStatus]int
}

// CountDomains counts the domains that f lists, without regard to f.Status and f.Attention: each of
// their values is counted. Each number is exact up to DomainsCounted, and DomainsCounted+1 beyond.
//
// In a list by name or label that has more domains, the numbers other than All are those of the
// first ones that are found, and complete is false.
func (q queries) CountDomains(
	ctx context.Context, orgID string, f DomainFilter,
) (counts DomainCounts, complete bool, err error) {
	f.Status, f.Attention = "", false
	if f.Query == "" && f.Label == "" {
		counts, err = q.countAllDomains(ctx, orgID)
		return counts, true, err
	}
	f.Limit, f.After, f.Before = DomainsCounted, nil, nil
	l, _, err := f.list(orgID)
	if err != nil {
		return counts, false, err
	}
	if err := q.wherePart(ctx, l, orgID, f.Query, domainsByPart); err != nil {
		return counts, false, err
	}
	l.sql = `SELECT d.status, ` + needsAttention + ` AS attention FROM domains d`
	sql, args := l.unsorted()
	counts, err = q.countDomains(ctx, sql, args)
	return counts, counts.All <= DomainsCounted, err
}

// countAllDomains counts an organization's domains. Only those that are not active, and those that
// need attention, are counted; the number of all is stored. That of the active ones is the
// difference, and not known if one of the others is beyond DomainsCounted.
func (q queries) countAllDomains(ctx context.Context, orgID string) (DomainCounts, error) {
	c := DomainCounts{ByStatus: map[controlplane.DomainStatus]int{}}
	args := named{"org_id": orgID, "most": DomainsCounted + 1}
	limited := func(condition string) string {
		return `(SELECT count(*) FROM (SELECT FROM domains d WHERE d.org_id = @org_id AND ` +
			condition + ` LIMIT @most) counted)`
	}
	status := func(s controlplane.DomainStatus) string {
		return limited(`d.status <> 'active' AND d.status = '` + string(s) + `'`)
	}
	var all, pending, issuing, failed int
	// planned for these arguments, as the pages of lists are
	err := q.db.QueryRow(ctx, `SELECT o.domain_count, `+limited(needsAttention)+`, `+
		status(controlplane.DomainPendingCNAME)+`, `+status(controlplane.DomainIssuing)+`, `+
		status(controlplane.DomainError)+` FROM organizations o WHERE o.id = @org_id`,
		pgx.QueryExecModeCacheDescribe, args).Scan(&all, &c.Attention, &pending, &issuing, &failed)
	if err != nil {
		return c, translate(err, "organization", orgID)
	}
	c.All = min(all, DomainsCounted+1)
	c.ByStatus[controlplane.DomainPendingCNAME] = pending
	c.ByStatus[controlplane.DomainIssuing] = issuing
	c.ByStatus[controlplane.DomainError] = failed
	if max(pending, issuing, failed) <= DomainsCounted {
		c.ByStatus[controlplane.DomainActive] = max(0, min(all-pending-issuing-failed,
			DomainsCounted+1))
	}
	return c, nil
}

func (q queries) countDomains(ctx context.Context, sql string, args named) (DomainCounts, error) {
	c := DomainCounts{ByStatus: map[controlplane.DomainStatus]int{}}
	rows, err := q.db.Query(ctx, `SELECT status, attention, count(*) FROM (`+sql+
		`) found GROUP BY status, attention`, pgx.QueryExecModeCacheDescribe, args)
	if err != nil {
		return c, translate(err, "domain", "")
	}
	var status controlplane.DomainStatus
	var attention bool
	var n int
	_, err = pgx.ForEachRow(rows, []any{(*string)(&status), &attention, &n}, func() error {
		c.All += n
		c.ByStatus[status] += n
		if attention {
			c.Attention += n
		}
		return nil
	})
	return c, translate(err, "domain", "")
}
