package dashboard

import (
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// step is the next action for an object, and its time.
type step struct {
	Text string
	At   moment // zero if no time is set
}

// nextStep returns the next action for a domain. It always has a text.
func (v *visit) nextStep(d *controlplane.Domain) step {
	switch d.Status {
	case controlplane.DomainPendingCNAME:
		if d.StatusReason == controlplane.ReasonAwaitingIssue {
			return step{Text: "Press “Issue now”"}
		}
		return v.due("DNS check", d.Condition(controlplane.DNSReady).NextCheckAt, "DNS check due")
	case controlplane.DomainIssuing:
		return v.due("Next order check", d.Condition(controlplane.CertificateReady).NextCheckAt,
			"Order in progress")
	case controlplane.DomainActive:
		if !d.AutoRenew {
			return step{Text: "No automatic renewal"}
		}
		if c := d.Condition(controlplane.RenewalOnTrack); c.Status == "false" &&
			c.NextCheckAt != nil {
			return v.due("Next retry", c.NextCheckAt, "")
		}
		return v.due("Renewal", d.RenewAt, "No renewal scheduled")
	}
	if at := earliestCheck(d.Conditions); at != nil {
		return v.due("Next check", at, "")
	}
	return step{Text: "Action required"}
}

// due returns a step at a time, or "due now" if the time has passed. If at is nil, the text is
// otherwise.
func (v *visit) due(text string, at *time.Time, otherwise string) step {
	if at == nil {
		return step{Text: otherwise}
	}
	if !at.After(v.now) {
		return step{Text: text + " due now"}
	}
	return step{Text: text, At: v.at(*at)}
}

// earliestCheck returns the time of the next check of any condition, or nil.
func earliestCheck(conditions []controlplane.Condition) *time.Time {
	var first *time.Time
	for _, c := range conditions {
		if c.NextCheckAt != nil && (first == nil || c.NextCheckAt.Before(*first)) {
			first = c.NextCheckAt
		}
	}
	return first
}
