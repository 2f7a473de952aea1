package postgres

import "github.com/dcvaas/terraform-provider-dcvaas/controlplane"

// concludeDelegation writes the result of a check of the domain's delegation, which other domains
// and the API read. Like holdDomain, it skips a delegation that is locked by others: the next check
// writes it. A pinned delegation has its own next check.
const concludeDelegation = `checked AS MATERIALIZED (
			SELECT g.id FROM delegations g, job WHERE @checked AND g.org_id = @org_id AND g.name = @checked_name
			FOR NO KEY UPDATE OF g SKIP LOCKED
		), delegation AS (
			UPDATE delegations g SET state = coalesce(@checked_state, g.state), diagnosis = coalesce(@diagnosis::jsonb, g.diagnosis),
				last_checked_at = coalesce(@checked_at::timestamptz, g.last_checked_at),
				next_check_at = CASE WHEN g.pinned THEN g.next_check_at ELSE @next_check_at::timestamptz END
			FROM checked WHERE g.id = checked.id
		)`

// delegationArgs returns the arguments of concludeDelegation. A check without a result changes only
// the time of the next one.
func (k *Conclusion) delegationArgs() named {
	args := named{"checked": k.Delegation != nil, "checked_name": k.Domain.Name,
		"checked_state": nil, "checked_at": nil, "diagnosis": nil,
		"next_check_at": k.Domain.Condition(controlplane.DNSReady).NextCheckAt}
	if k.Delegation == nil {
		return args
	}
	if state := k.Delegation.State(); state != "" {
		found := *k.Delegation
		found.Evidence = nil
		args["checked_state"], args["checked_at"], args["diagnosis"] = string(state),
			found.CheckedAt, &found
	}
	return args
}
