package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// The places of the arguments of concludeFollowed: what release takes, the job's result, the
// domain, its version, the entry, and the job that follows.
const (
	followedDomain  = 5
	followedVersion = followedDomain + domainArgs
	followedEntry   = followedVersion + 1
	followedNext    = followedEntry + entryArgs
)

// That the domain's slot is taken by another job is found by trying: then nothing is written.
var concludeFollowed = fmt.Sprintf(`
	WITH held AS MATERIALIZED (
		SELECT d.id, d.org_id FROM domains d JOIN jobs j ON j.domain_id = d.id
		WHERE d.org_id = $%[1]d AND d.id = $%[2]d AND d.version = $%[3]d AND d.claimed_by = $1
			AND j.id = $1 AND CASE j.status WHEN 'running' THEN j.claimed_by = $2 END
		FOR NO KEY UPDATE OF d, j SKIP LOCKED
	), next AS (
		INSERT INTO jobs (id, org_id, domain_id, type, slot, queue, run_at, request_id, created_at, updated_at)
		SELECT $%[4]d, held.org_id, held.id, $%[5]d, $%[6]d, $%[7]d, $%[8]d, $%[9]d, $3, $3 FROM held
		ON CONFLICT (domain_id, slot) WHERE status IN ('queued', 'running') DO NOTHING
		RETURNING domain_id
	), job AS (
		UPDATE jobs SET claimed_by = '', claimed_until = NULL, updated_at = $3, %[10]s
		FROM next WHERE jobs.id = $1
		RETURNING jobs.id
	), dom AS (
		UPDATE domains d SET claimed_by = '', claimed_until = NULL, %[11]s FROM job WHERE d.id = $%[2]d
	), entry AS (
		%[12]s SELECT %[13]s FROM job
	)
	SELECT id FROM job`,
	followedDomain, followedDomain+1, followedVersion, followedNext, followedNext+1, followedNext+2, followedNext+3, followedNext+4, followedNext+5,
	completed.set, setDomain(followedDomain), insertAudit, auditPlaces(followedEntry))

// ConcludeFollowed is Conclude for a job that is done, with one entry, and that another job of
// its domain follows. It writes nothing, either, where the domain has an open one in that slot.
func (s *Store) ConcludeFollowed(ctx context.Context, c *Claim, k Conclusion, next *controlplane.Job, now time.Time) (bool, error) {
	domain, err := saveDomainArgs(k.Domain, now)
	if err != nil || len(k.Entries) != 1 || k.Outcome.how != &completed {
		return false, err
	}
	args := append([]any{c.Job.ID, c.Worker, now}, k.Outcome.args...)
	args = append(append(args, domain...), k.Domain.Version)
	args = append(args, auditArgs(&k.Entries[0])...)
	args = append(args, next.ID, next.Type, next.Slot(), next.Queue, next.RunAt, next.RequestID)
	return s.conclude(ctx, c, concludeFollowed, args)
}
