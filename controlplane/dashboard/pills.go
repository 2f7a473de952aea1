package dashboard

import "github.com/dcvaas/terraform-provider-dcvaas/controlplane"

// pill is a status as pages show it: icon, label, and tint.
type pill struct {
	Tint  string // ok, info, warn, danger, or neutral
	Icon  string
	Label string
}

// statusPill returns the pill of a domain's status.
func statusPill(d *controlplane.Domain) pill {
	switch d.Status {
	case controlplane.DomainPendingCNAME:
		if d.StatusReason == controlplane.ReasonAwaitingIssue {
			return pill{"info", "clock", "Ready to issue"}
		}
		return pill{"warn", "clock", "Waiting for DNS"}
	case controlplane.DomainIssuing:
		return pill{"info", "cycle", "Issuing"}
	case controlplane.DomainActive:
		return pill{"ok", "check", "Active"}
	case controlplane.DomainError:
		return pill{"danger", "alert", "Error"}
	}
	return pill{"neutral", "dot", plain(string(d.Status))}
}

// warningPill returns a second pill for an active domain with a problem, or nil.
func warningPill(d *controlplane.Domain) *pill {
	if d.Status != controlplane.DomainActive {
		return nil
	}
	renewal := d.Condition(controlplane.RenewalOnTrack)
	switch {
	case d.Condition(controlplane.CertificateReady).Reason == controlplane.ReasonRevoked:
		return &pill{"danger", "cross", "Revoked"}
	case renewal.Reason == controlplane.ReasonAutoRenewOff:
		return &pill{"neutral", "dot", "Not renewed"}
	case renewal.Status == controlplane.ConditionFalse:
		return &pill{"warn", "alert", "Renewal failing"}
	}
	return nil
}

// memberPill returns the pill of a membership's state.
func memberPill(s controlplane.MemberState) pill {
	switch s {
	case controlplane.MemberActive:
		return pill{"ok", "check", "Active"}
	case controlplane.MemberPending:
		return pill{"info", "clock", "Invited"}
	case controlplane.MemberDeclined:
		return pill{"neutral", "cross", "Declined"}
	}
	return pill{"neutral", "cross", "Invitation expired"}
}

// jobPill returns the pill of a job's status.
func jobPill(j *controlplane.Job) pill {
	switch j.Status {
	case controlplane.JobQueued:
		return pill{"neutral", "clock", "Queued"}
	case controlplane.JobRunning:
		return pill{"info", "cycle", "Running"}
	case controlplane.JobSucceeded:
		return pill{"ok", "check", "Succeeded"}
	case controlplane.JobFailed:
		if j.DeadLetteredAt != nil {
			return pill{"danger", "alert", "Dead-lettered"}
		}
		return pill{"danger", "cross", "Failed"}
	}
	return pill{"neutral", "dot", plain(string(j.Status))}
}

// conditionPill returns the pill of a condition's status.
func conditionPill(c controlplane.Condition) pill {
	kind, entry := controlplane.ConditionKindOf(c.Type), entryOf(c.Reason)
	switch {
	case c.Status == controlplane.ConditionTrue:
		return pill{"ok", "check", kind.True}
	case c.Reason == controlplane.ReasonAutoRenewOff:
		return pill{"neutral", "dot", "Off"}
	case c.Reason == controlplane.ReasonRevoked:
		return pill{"danger", "cross", "Revoked"}
	case c.Status == controlplane.ConditionFalse && entry.Pending:
		return pill{"warn", "clock", "Not yet"}
	case c.Status == controlplane.ConditionFalse:
		return pill{"danger", "alert", kind.False}
	}
	return pill{"neutral", "clock", "Unknown"}
}
