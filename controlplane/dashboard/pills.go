package dashboard

import "github.com/dcvaas/terraform-provider-dcvaas/controlplane"

// pill is a status as pages show it: icon, label, and tint.
type pill struct {
	Tint  string // ok, info, warn, danger, or neutral
	Icon  string
	Label string
}

// summaryPill returns the pill of the state of a domain's summary.
func summaryPill(s controlplane.SummaryState) pill {
	switch s {
	case controlplane.SummaryActive:
		return pill{"ok", "check", s.Title()}
	case controlplane.SummaryRenewing, controlplane.SummaryInProgress:
		return pill{"info", "cycle", s.Title()}
	case controlplane.SummaryWaiting:
		return pill{"warn", "clock", s.Title()}
	case controlplane.SummaryAtRisk:
		return pill{"warn", "alert", s.Title()}
	case controlplane.SummaryRevoked:
		return pill{"danger", "cross", s.Title()}
	}
	return pill{"danger", "alert", s.Title()}
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

// conditionPill returns the pill of a condition's status. Nothing is valid or on track while the
// certificate cannot be used.
func conditionPill(
	d *controlplane.Domain, t controlplane.ConditionType, s controlplane.SummaryState,
) pill {
	c, kind := d.Condition(t), controlplane.ConditionKindOf(t)
	unusable := s == controlplane.SummaryExpired || s == controlplane.SummaryRevoked
	entry := entryOf(c.Reason)
	waits := entry.Pending || entry.Actor == controlplane.PartyService ||
		entry.Actor == controlplane.PartyCA
	switch {
	case unusable && t == controlplane.CertificateReady:
		return summaryPill(s)
	case unusable && c.Status == controlplane.ConditionTrue && t != controlplane.DNSReady &&
		!c.IsRequested():
		return pill{"neutral", "clock", "Scheduled"}
	case c.Status == controlplane.ConditionTrue && c.IsRequested():
		return pill{"info", "cycle", controlplane.SummaryRenewing.Title()}
	case c.Status == controlplane.ConditionTrue:
		return pill{"ok", "check", kind.True}
	case c.Reason == controlplane.ReasonAutoRenewOff:
		return pill{"neutral", "dot", "Off"}
	case c.Status == controlplane.ConditionFalse && waits && d.CertificateID == "":
		return pill{"warn", "clock", "Not yet"}
	case c.Status == controlplane.ConditionFalse && waits && !controlplane.IsCause(c.Reason):
		return pill{"warn", "clock", "Delayed"}
	case c.Status == controlplane.ConditionFalse:
		return pill{"danger", "alert", kind.False}
	}
	return pill{"neutral", "clock", "Unknown"}
}
