package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// How long a check waits when no resolver could be asked: resolverPause where somebody waits
// for it, and longer where it is a rehearsal.
const (
	resolverPause  = 15 * time.Second
	rehearsalPause = 5 * time.Minute
)

// Examine looks at everything that the CAs will look at in DNS for a domain.
func (s *Service) Examine(ctx context.Context, d *controlplane.Domain) (controlplane.Examination, error) {
	return s.Doctor.Examine(ctx, d.Name, s.DelegationOf(d).Target, d.Wildcard, s.Issuer.Identities(ctx))
}

// check looks at the domain's DNS. Where a CA may issue, the certificate's job follows in
// the same transaction; where none may, the job waits for its next turn.
func (w *work) check(ctx context.Context) error {
	seen, err := w.Examine(ctx, w.domain)
	if err != nil {
		return err
	}
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		d, err := t.LockDomain(ctx, w.domain.OrgID, w.domain.ID)
		if err != nil {
			return err
		}
		switch {
		case seen.OK():
			return w.delegated(ctx, t, d, seen, now)
		case d.Status == controlplane.DomainActive && seen.Transient():
			return w.lookAgain(ctx, t, d, seen, now)
		case d.Status == controlplane.DomainActive:
			return w.rehearsalFailed(ctx, t, d, seen, now)
		}
		return w.waitForDNS(ctx, t, d, seen, now)
	})
}

// delegated records that the CNAME was seen and starts the issuance.
func (w *work) delegated(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, seen controlplane.Examination, now time.Time) error {
	news := d.Condition(controlplane.DNSReady).Status != "true"
	showDNS(d, seen, nil)
	d.CheckAttempts = 0
	if c := d.Condition(controlplane.RenewalOnTrack); d.HasCertificate(now) && c.Status == "false" && controlplane.IsCause(c.Reason) {
		d.SetCondition(w.renewalPlan(d, now)) // what stood in its way is gone
	}
	open, err := w.wakeIssuance(ctx, t, d, now)
	if err != nil {
		return err
	}
	result := map[string]any{"delegated": true}
	if d.Status == controlplane.DomainPendingCNAME || d.Status == controlplane.DomainError {
		next, err := w.startIssuance(ctx, t, d, open, now)
		if err != nil {
			return err
		}
		if next != "" {
			result["next_job_id"] = next
		}
	}
	if err := t.SaveDomain(ctx, d, now); err != nil {
		return err
	}
	if news {
		if err := w.auditVerified(ctx, t, d, now); err != nil {
			return err
		}
	}
	return t.JobDone(ctx, w.claim, now, result)
}

// auditVerified records that the CNAME is there, and was not when it was last looked for.
func (w *work) auditVerified(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, now time.Time) error {
	entry := w.audit(d.OrgID, w.actor(), controlplane.ActionDNSVerified, "domain", d.ID, now)
	entry.Details = map[string]any{"target": w.DelegationOf(d).Target}
	return t.Audit(ctx, entry)
}

// wakeIssuance lets a certificate's job that waits for the DNS run now. It returns the open
// job, nil where there is none.
func (w *work) wakeIssuance(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, now time.Time) (*controlplane.Job, error) {
	job, err := t.OpenJob(ctx, d.OrgID, d.ID, controlplane.JobStartIssuance.Slot())
	switch {
	case controlplane.IsKind(err, controlplane.KindNotFound):
		return nil, nil
	case err == nil && controlplane.IsCause(job.Reason):
		job, _, err = t.Hasten(ctx, d.OrgID, job.ID, now)
	}
	return job, err
}

// startIssuance adds the certificate's job where none is open, unless the customer wants to
// ask for it. It returns the job's id.
func (w *work) startIssuance(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, open *controlplane.Job, now time.Time) (string, error) {
	if open == nil && !d.AutoIssue {
		d.Status, d.StatusReason = controlplane.DomainPendingCNAME, "awaiting-issue"
		d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady, Status: "false", Reason: "awaiting-issue",
			Message: "The CNAME is in place; issuing starts when it is asked for.", Fix: "POST /api/domains/" + d.ID + "/issue", LastCheckedAt: &now})
		return "", nil
	}
	job, _, err := t.AddJob(ctx, newJob(controlplane.JobStartIssuance, controlplane.QueueCritical, d, w.claim.Job.RequestID, now))
	if err != nil {
		return "", err
	}
	showIssuing(d, now)
	return job.ID, nil
}

// waitForDNS puts the job off to its next turn, or gives up when the round of checks is over.
func (w *work) waitForDNS(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, seen controlplane.Examination, now time.Time) error {
	cause := seen.Cause()
	pause := resolverPause
	if !seen.Transient() {
		d.CheckAttempts++
		pause = controlplane.NextCheck(d.CheckAttempts)
	}
	next := now.Add(pause).Truncate(time.Microsecond)
	if next.After(d.CheckSince.Add(controlplane.CheckFor)) && !d.HasCertificate(now) && !seen.Transient() {
		return w.giveUpChecking(ctx, t, d, seen, now)
	}
	broken := isBroken(d, seen, now)
	showDNS(d, seen, &next)
	switch {
	case d.HasCertificate(now):
		d.SetCondition(condition(controlplane.RenewalOnTrack, cause, "The renewal waits: ", now, &next))
	case seen.Transient() && d.Status != controlplane.DomainError: // what was known stands
	default:
		d.Status, d.StatusReason = controlplane.DomainPendingCNAME, cause.Code
		if seen.Delegation.OK() {
			d.SetCondition(condition(controlplane.CertificateReady, cause, "The certificate waits: ", now, &next))
		}
	}
	if err := t.SaveDomain(ctx, d, now); err != nil {
		return err
	}
	if broken {
		if err := w.auditBroken(ctx, t, d, cause, now); err != nil {
			return err
		}
	}
	if entry := w.waiting(next, waitReason{code: cause.Code, message: cause.Summary}, now); entry != nil {
		if err := t.Audit(ctx, *entry); err != nil {
			return err
		}
	}
	return t.JobWaits(ctx, w.claim, now, next, cause.Code)
}

// lookAgain puts off the look at an active domain that taught nothing: what was known stands.
func (w *work) lookAgain(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, seen controlplane.Examination, now time.Time) error {
	next := now.Add(resolverPause)
	if w.claim.Job.Queue == controlplane.QueueBulk {
		next = now.Add(rehearsalPause)
	}
	showDNS(d, seen, &next)
	if err := t.SaveDomain(ctx, d, now); err != nil {
		return err
	}
	return t.JobWaits(ctx, w.claim, now, next, seen.Cause().Code)
}

// rehearsalFailed records that an active domain's renewal would fail. Its certificate still
// serves.
func (w *work) rehearsalFailed(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, seen controlplane.Examination, now time.Time) error {
	cause, broken := seen.Cause(), isBroken(d, seen, now)
	showDNS(d, seen, nil)
	if !isHeldBack(d) { // that comes first
		d.SetCondition(condition(controlplane.RenewalOnTrack, cause, "The next renewal would fail: ", now, d.RenewAt))
	}
	if err := t.SaveDomain(ctx, d, now); err != nil {
		return err
	}
	if broken {
		if err := w.auditBroken(ctx, t, d, cause, now); err != nil {
			return err
		}
	}
	return t.JobDone(ctx, w.claim, now, map[string]any{"delegated": seen.Delegation.OK(), "code": cause.Code})
}

// isBroken reports whether the delegation of a domain with a certificate was right and is so
// no longer: that is told once.
func isBroken(d *controlplane.Domain, seen controlplane.Examination, now time.Time) bool {
	return d.HasCertificate(now) && !seen.Transient() && !seen.Delegation.OK() && d.Condition(controlplane.DNSReady).Status == "true"
}

// auditBroken records that a delegation that was right is so no longer.
func (w *work) auditBroken(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, cause controlplane.Diagnosis, now time.Time) error {
	entry := w.audit(d.OrgID, w.actor(), controlplane.ActionDelegationBroken, "domain", d.ID, now)
	entry.Details = map[string]any{"code": cause.Code, "observed": cause.Observed, "expected": cause.Expected, "fix": cause.Fix}
	return t.Audit(ctx, entry)
}

// giveUpChecking ends a round of checks: nothing more happens until somebody asks.
func (w *work) giveUpChecking(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, seen controlplane.Examination, now time.Time) error {
	cause := seen.Cause()
	showDNS(d, seen, nil)
	d.Status, d.StatusReason = controlplane.DomainError, "delegation-timeout"
	if err := t.SaveDomain(ctx, d, now); err != nil {
		return err
	}
	entry := w.audit(d.OrgID, w.actor(), controlplane.ActionDelegationTimeout, "domain", d.ID, now)
	entry.Details = map[string]any{"code": cause.Code, "fix": cause.Fix}
	if err := t.Audit(ctx, entry); err != nil {
		return err
	}
	return t.JobGaveUp(ctx, w.claim, now, "delegation-timeout",
		"The CNAME was looked for during 30 days and not found. "+cause.Summary)
}
