package dashboard

import (
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// step is what happens next to a domain, and when.
type step struct {
	Words string
	At    moment // empty where no time is set
}

// nextStep says what happens next to a domain. There is always something to say.
func (v *visit) nextStep(d *controlplane.Domain) step {
	switch d.Status {
	case controlplane.DomainPendingCNAME:
		if d.StatusReason == controlplane.ReasonAwaitingIssue {
			return step{Words: "Waits for “Issue now”"}
		}
		return v.due("DNS check", d.Condition(controlplane.DNSReady).NextCheckAt, "DNS check is due")
	case controlplane.DomainIssuing:
		return v.due("Next look at the order", d.Condition(controlplane.CertificateReady).NextCheckAt, "Order is under way")
	case controlplane.DomainActive:
		if !d.AutoRenew {
			return step{Words: "Not renewed by itself"}
		}
		if c := d.Condition(controlplane.RenewalOnTrack); c.Status == "false" && c.NextCheckAt != nil {
			return v.due("Next try", c.NextCheckAt, "")
		}
		return v.due("Renewal", d.RenewAt, "No renewal is planned")
	}
	if at := earliestCheck(d.Conditions); at != nil {
		return v.due("Next check", at, "")
	}
	return step{Words: "Waits for you"}
}

// due is a step at a time; one whose time has come is due now.
func (v *visit) due(words string, at *time.Time, otherwise string) step {
	if at == nil {
		return step{Words: otherwise}
	}
	if !at.After(v.now) {
		return step{Words: words + " due now"}
	}
	return step{Words: words, At: v.at(*at)}
}

// earliestCheck returns when a domain is looked at again, nil where it is not.
func earliestCheck(conditions []controlplane.Condition) *time.Time {
	var first *time.Time
	for _, c := range conditions {
		if c.NextCheckAt != nil && (first == nil || c.NextCheckAt.Before(*first)) {
			first = c.NextCheckAt
		}
	}
	return first
}

// trim takes off the white space that pasting brings along.
func trim(s string) string { return strings.TrimSpace(s) }
