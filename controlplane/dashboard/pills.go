package dashboard

import "github.com/dcvaas/terraform-provider-dcvaas/controlplane"

// pill is a state as pages show it: icon, word and tint say the same.
type pill struct {
	Tint  string // ok, info, warn, danger or neutral
	Icon  string
	Label string
}

// Reasons that the pages know by themselves.
const (
	reasonAwaitingIssue = "awaiting-issue" // the record is right, and nobody has asked for a certificate
	reasonRenewalOff    = "auto-renew-off"
	reasonRevoked       = "revoked"
	reasonNotIssued     = "not-issued"
	reasonCompromised   = "csr-key-compromised"
)

// statusPill is a domain's status.
func statusPill(d *controlplane.Domain) pill {
	switch d.Status {
	case controlplane.DomainPendingCNAME:
		if d.StatusReason == reasonAwaitingIssue {
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

// warningPill is shown beside an active domain's status where not all is well.
func warningPill(d *controlplane.Domain) *pill {
	if d.Status != controlplane.DomainActive {
		return nil
	}
	renewal := d.Condition(controlplane.RenewalOnTrack)
	switch {
	case d.Condition(controlplane.CertificateReady).Reason == reasonRevoked:
		return &pill{"danger", "cross", "Revoked"}
	case renewal.Reason == reasonRenewalOff:
		return &pill{"neutral", "dot", "Not renewed"}
	case renewal.Status == "false":
		return &pill{"warn", "alert", "Renewal failing"}
	}
	return nil
}

// memberPill is whether a member accepted.
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

// jobPill is a job's status.
func jobPill(j *controlplane.Job) pill {
	switch j.Status {
	case controlplane.JobQueued:
		return pill{"neutral", "clock", "Waiting"}
	case controlplane.JobRunning:
		return pill{"info", "cycle", "Running"}
	case controlplane.JobSucceeded:
		return pill{"ok", "check", "Succeeded"}
	case controlplane.JobFailed:
		if j.DeadLetteredAt != nil {
			return pill{"danger", "alert", "Gave up"}
		}
		return pill{"danger", "cross", "Failed"}
	}
	return pill{"neutral", "dot", plain(string(j.Status))}
}

// conditionPill says whether a condition holds. What is not there yet and not wrong either is
// waiting.
func conditionPill(c controlplane.Condition) pill {
	words, ok := conditionWords[c.Type]
	if !ok {
		words.holds, words.not = "Yes", "No"
	}
	switch {
	case c.Status == "true":
		return pill{"ok", "check", words.holds}
	case c.Reason == reasonRenewalOff:
		return pill{"neutral", "dot", "Off"}
	case c.Reason == reasonRevoked:
		return pill{"danger", "cross", "Revoked"}
	case c.Status == "false" && waiting[c.Reason]:
		return pill{"warn", "clock", "Not yet"}
	case c.Status == "false":
		return pill{"danger", "alert", words.not}
	}
	return pill{"neutral", "clock", "Not known yet"}
}

// conditionWords say that a condition holds, and that it does not.
var conditionWords = map[controlplane.ConditionType]struct{ holds, not string }{
	controlplane.DNSReady:         {"In place", "Not right"},
	controlplane.CertificateReady: {"Valid", "Missing"},
	controlplane.RenewalOnTrack:   {"On track", "Failing"},
}

// waiting are the reasons for which a condition is false while nothing is wrong.
var waiting = map[string]bool{
	controlplane.CauseCNAMEMissing: true, "cname-unchecked": true, reasonNotIssued: true, reasonAwaitingIssue: true, "issuing": true,
	controlplane.CauseNegativeCached: true,
}
