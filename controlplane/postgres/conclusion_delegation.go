package postgres

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// concludeDelegation writes the results of a check into the delegations of the domain's names,
// which other domains and the API read. Like holdDomain, it skips a delegation that is locked by
// others: the next check writes it. A pinned delegation has its own next check. If a delegation
// broke or was fixed, the rehearsals of its other users become due.
var concludeDelegation = writeChecks("job, ")

// writeChecks returns the common table expressions that write @checks. from precedes them in their
// FROM clause.
func writeChecks(from string) string {
	return `checked AS MATERIALIZED (
			SELECT g.id, c.*, (g.state = 'delegated' AND c.state = 'broken' OR ` + isReady + ` AND c.failed) AND ` + mayWake + ` AS broke,
				g.state = 'broken' AND c.state = 'delegated' AS fixed
			FROM ` + from + `jsonb_to_recordset(@checks::jsonb)
					AS c (name text, state text, checked_at timestamptz, diagnosis jsonb, ready jsonb, failed boolean)
				JOIN delegations g ON g.org_id = @org_id AND g.name = c.name
			FOR NO KEY UPDATE OF g SKIP LOCKED
		), delegation AS (
			UPDATE delegations g SET state = coalesce(checked.state, g.state), diagnosis = coalesce(checked.diagnosis, g.diagnosis),
				last_checked_at = coalesce(checked.checked_at, g.last_checked_at),
				ready = CASE WHEN checked.state IS NULL THEN g.ready ELSE checked.ready END,
				ready_at = CASE WHEN checked.state IS NULL THEN g.ready_at WHEN checked.ready IS NOT NULL THEN checked.checked_at END,
				woken_at = CASE WHEN checked.broke THEN @now ELSE g.woken_at END,
				next_check_at = CASE WHEN g.pinned THEN g.next_check_at ELSE @next_check_at::timestamptz END
			FROM checked WHERE g.id = checked.id
		), ` + wakeUsers
}

var saveChecks = `WITH ` + writeChecks("") + ` SELECT 1`

// SaveChecks writes the results of a check into the delegations of the domain's names, as the
// conclusion of a job does.
func (t *Tx) SaveChecks(
	ctx context.Context, d *controlplane.Domain, checks []controlplane.NameExamination,
	now time.Time,
) error {
	k := Conclusion{Domain: d, Checks: checks}
	_, err := t.db.Exec(ctx, saveChecks,
		merge(k.checksArgs(), named{"org_id": d.OrgID, "domain_id": d.ID, "now": now}))
	return translate(err, "domain", d.ID)
}

// checkedName is the result of the check of one name. The pointers are nil without a result: then
// only the time of the next check changes.
type checkedName struct {
	Name      string                        `json:"name"`
	State     *controlplane.DelegationState `json:"state"`
	CheckedAt *time.Time                    `json:"checked_at"`
	Diagnosis *controlplane.Diagnosis       `json:"diagnosis"`
	Ready     *controlplane.Readiness       `json:"ready,omitempty"`
	Failed    bool                          `json:"failed"` // a CA would not issue
}

// checksArgs returns the arguments of concludeDelegation. Checks on behalf of others are written
// already.
func (k *Conclusion) checksArgs() named {
	checks := make([]checkedName, 0, len(k.Checks))
	for _, n := range k.Checks {
		if n.Shared {
			continue
		}
		c := checkedName{Name: n.Name}
		if state := n.Delegation.State(); state != "" {
			found := n.Delegation
			found.Evidence = nil
			c = checkedName{n.Name, &state, &found.CheckedAt, &found, n.Ready,
				!n.OK() && !n.Transient()}
		}
		checks = append(checks, c)
	}
	return named{"checks": checks,
		"next_check_at": k.Domain.Condition(controlplane.DNSReady).NextCheckAt}
}
