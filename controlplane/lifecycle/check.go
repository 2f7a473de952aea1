package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// resolverPause is how long a check waits when no resolver could be asked.
const resolverPause = 15 * time.Second

// check looks at the domain's delegation. Where it is there, the certificate's job follows
// in the same transaction; where it is not, the job waits for its next turn.
func (w *work) check(ctx context.Context) error {
	found, err := w.Doctor.Delegation(ctx, w.domain.Name, w.DelegationOf(w.domain).Target)
	if err != nil {
		return err
	}
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		d, err := t.LockDomain(ctx, w.domain.OrgID, w.domain.ID)
		if err != nil {
			return err
		}
		if found.OK() {
			return w.delegated(ctx, t, d, found, now)
		}
		return w.waitForDelegation(ctx, t, d, found, now)
	})
}

// delegated records that the CNAME was seen and starts the issuance.
func (w *work) delegated(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, found controlplane.Diagnosis, now time.Time) error {
	news := d.Condition(controlplane.DNSReady).Status != "true"
	showDiagnosis(d, found, nil)
	d.CheckAttempts = 0
	result := map[string]any{"delegated": true}
	if d.Status == controlplane.DomainPendingCNAME || d.Status == controlplane.DomainError {
		d.StatusReason = "awaiting-issue"
		if d.AutoIssue {
			job, _, err := t.AddJob(ctx, newJob(controlplane.JobStartIssuance, controlplane.QueueCritical, d, w.claim.Job.RequestID, now))
			if err != nil {
				return err
			}
			d.Status, d.StatusReason = controlplane.DomainIssuing, ""
			result["next_job_id"] = job.ID
			d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady, Status: "false", Reason: "issuing",
				Message: "The certificate is being ordered.", LastCheckedAt: &now})
		} else {
			d.Status = controlplane.DomainPendingCNAME
			d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady, Status: "false", Reason: "awaiting-issue",
				Message: "The CNAME is in place; issuing starts when it is asked for.", Fix: "POST /api/domains/" + d.ID + "/issue", LastCheckedAt: &now})
		}
	}
	if err := t.SaveDomain(ctx, d, now); err != nil {
		return err
	}
	if news {
		entry := w.audit(d.OrgID, w.actor(), controlplane.ActionDNSVerified, "domain", d.ID, now)
		entry.Details = map[string]any{"target": w.DelegationOf(d).Target}
		if err := t.Audit(ctx, entry); err != nil {
			return err
		}
	}
	return t.JobDone(ctx, w.claim, now, result)
}

// waitForDelegation puts the job off to its next turn, or gives up when the round of checks
// is over.
func (w *work) waitForDelegation(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, found controlplane.Diagnosis, now time.Time) error {
	if d.Status == controlplane.DomainActive && w.claim.Job.Type == controlplane.JobDNSCheck {
		return w.delegationBroken(ctx, t, d, found, now)
	}
	if !found.Transient() {
		d.CheckAttempts++
	}
	pause := controlplane.NextCheck(d.CheckAttempts)
	if found.Transient() {
		pause = resolverPause
	}
	next := now.Add(pause).Truncate(time.Microsecond)
	if end := d.CheckSince.Add(controlplane.CheckFor); next.After(end) && !d.HasCertificate(now) {
		return w.giveUpChecking(ctx, t, d, found, now)
	}
	broken := d.HasCertificate(now) && !found.Transient() && d.Condition(controlplane.DNSReady).Status == "true"
	showDiagnosis(d, found, &next)
	switch {
	case d.HasCertificate(now):
		d.SetCondition(controlplane.Condition{Type: controlplane.RenewalOnTrack, Status: "false", Reason: found.Code,
			Message: "The renewal waits for the delegation: " + found.Summary, Observed: found.Observed, Expected: found.Expected, Fix: found.Fix,
			LastCheckedAt: &now, NextCheckAt: &next})
	default:
		d.Status, d.StatusReason = controlplane.DomainPendingCNAME, found.Code
	}
	if err := t.SaveDomain(ctx, d, now); err != nil {
		return err
	}
	if broken {
		if err := w.auditBroken(ctx, t, d, found, now); err != nil {
			return err
		}
	}
	return t.JobWaits(ctx, w.claim, now, next, found.Code)
}

// auditBroken records that a delegation that was right is so no longer.
func (w *work) auditBroken(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, found controlplane.Diagnosis, now time.Time) error {
	entry := w.audit(d.OrgID, w.actor(), controlplane.ActionDelegationBroken, "domain", d.ID, now)
	entry.Details = map[string]any{"code": found.Code, "observed": found.Observed, "expected": found.Expected, "fix": found.Fix}
	return t.Audit(ctx, entry)
}

// delegationBroken records, once, that an active domain's CNAME is no longer right. Its
// certificate still serves; the renewal will need the record.
func (w *work) delegationBroken(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, found controlplane.Diagnosis, now time.Time) error {
	news := !found.Transient() && d.Condition(controlplane.DNSReady).Status == "true"
	showDiagnosis(d, found, nil)
	if !found.Transient() {
		d.SetCondition(controlplane.Condition{Type: controlplane.RenewalOnTrack, Status: "false", Reason: found.Code,
			Message: "The next renewal would fail: " + found.Summary, Observed: found.Observed, Expected: found.Expected, Fix: found.Fix, LastCheckedAt: &now, NextCheckAt: d.RenewAt})
	}
	if err := t.SaveDomain(ctx, d, now); err != nil {
		return err
	}
	if news {
		if err := w.auditBroken(ctx, t, d, found, now); err != nil {
			return err
		}
	}
	return t.JobDone(ctx, w.claim, now, map[string]any{"delegated": false, "code": found.Code})
}

// giveUpChecking ends a round of checks: nothing more happens until somebody asks.
func (w *work) giveUpChecking(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, found controlplane.Diagnosis, now time.Time) error {
	showDiagnosis(d, found, nil)
	d.Status, d.StatusReason = controlplane.DomainError, "delegation-timeout"
	if err := t.SaveDomain(ctx, d, now); err != nil {
		return err
	}
	entry := w.audit(d.OrgID, w.actor(), controlplane.ActionDelegationTimeout, "domain", d.ID, now)
	entry.Details = map[string]any{"code": found.Code, "fix": found.Fix}
	if err := t.Audit(ctx, entry); err != nil {
		return err
	}
	return t.JobGaveUp(ctx, w.claim, now, "delegation-timeout",
		"The CNAME was looked for during 30 days and not found. "+found.Summary)
}
