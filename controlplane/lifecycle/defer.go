package lifecycle

import (
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// deferReason is why a job waits.
type deferReason struct {
	code    string
	message string
	ca      string // that it waits for; empty where it is none
}

// newDeferralEntry tells that a certificate's job begins to wait, or for something else than before; it
// returns nil where the wait only goes on, or a job that waits for weeks would fill the log. Of
// causes in DNS only the first is told: they come and go with the resolver that is asked, and the
// condition DNSReady says which it is. Nor is a check's wait told: to look until the record is
// there is what it does.
func (w *work) newDeferralEntry(next time.Time, why deferReason, now time.Time) *controlplane.AuditEntry {
	j := w.claim.Job
	if j.Type == controlplane.JobDNSCheck || string(j.WaitedFor) == why.code || controlplane.IsCause(j.WaitedFor) && controlplane.IsCause(why.code) {
		return nil
	}
	entry := w.deferralEntry(next, why, now)
	return &entry
}

// deferralEntry tells that the job is put off until next.
func (w *work) deferralEntry(next time.Time, why deferReason, now time.Time) controlplane.AuditEntry {
	j := w.claim.Job
	entry := w.audit(j.OrgID, w.actor(), controlplane.ActionJobWaiting, "job", j.ID, now)
	entry.Details = map[string]any{"domain_id": j.DomainID, "type": string(j.Type), "code": why.code, "detail": why.message, "run_at": next}
	if why.ca != "" {
		entry.Details["ca"] = why.ca
	}
	return entry
}
