package lifecycle

import (
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// deferReason is why a job is deferred.
type deferReason struct {
	code    string
	message string
	ca      string // the CA that it waits for, if any
}

// newDeferralEntry returns the audit entry of a certificate's job that is deferred for a new
// reason. It returns nil if the reason is the same as before: a job that waits for weeks would fill
// the log. All causes in DNS count as one reason, because they vary with the resolver, and the
// condition DNSReady shows the current one. It also returns nil for a DNS check, whose purpose is
// to wait.
func (w *work) newDeferralEntry(
	next time.Time, why deferReason, now time.Time,
) *controlplane.AuditEntry {
	j := w.claim.Job
	if j.Type == controlplane.JobDNSCheck || string(j.WaitedFor) == why.code ||
		controlplane.IsCause(j.WaitedFor) && controlplane.IsCause(why.code) {
		return nil
	}
	entry := w.deferralEntry(next, why, now)
	return &entry
}

// deferralEntry returns the audit entry of the job, deferred until next.
func (w *work) deferralEntry(
	next time.Time, why deferReason, now time.Time,
) controlplane.AuditEntry {
	j := w.claim.Job
	entry := w.audit(j.OrgID, w.actor(), controlplane.ActionJobWaiting, "job", j.ID, now)
	entry.Details = map[string]any{"domain_id": j.DomainID, "type": string(j.Type),
		"code": why.code, "detail": why.message, "run_at": next}
	if why.ca != "" {
		entry.Details["ca"] = why.ca
	}
	return entry
}
