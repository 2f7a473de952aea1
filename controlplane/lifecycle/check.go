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
	if ended, err := w.concludeCheck(ctx, seen); ended || err != nil {
		return err
	}
	// A job is woken, or somebody has changed the domain meanwhile.
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		d, err := t.LockDomain(ctx, w.domain.OrgID, w.domain.ID)
		if err != nil {
			return err
		}
		var next *controlplane.Job
		if seen.OK() {
			if next, err = w.leadOn(ctx, t, d, now); err != nil {
				return err
			}
		}
		return t.Conclude(ctx, w.claim, w.conclusion(d, seen, next, now), now)
	})
}

// concludeCheck ends the check without a lock, where it can: else it returns false.
func (w *work) concludeCheck(ctx context.Context, seen controlplane.Examination) (bool, error) {
	now, d := w.now(), *w.domain
	switch {
	case !w.leadsOn(seen):
		return w.Store.Conclude(ctx, w.claim, w.conclusion(&d, seen, nil, now), now)
	case w.claim.Issuing:
		return false, nil
	}
	next := w.issuanceJob(&d, now)
	return w.Store.ConcludeFollowed(ctx, w.claim, w.conclusion(&d, seen, next, now), next, now)
}

// leadsOn reports whether what was seen may touch the certificate's job.
func (w *work) leadsOn(seen controlplane.Examination) bool {
	return seen.OK() && (w.claim.Issuing || w.domain.AutoIssue && awaitsDNS(w.domain))
}

// awaitsDNS reports whether the domain's first certificate has not been begun.
func awaitsDNS(d *controlplane.Domain) bool {
	return d.Status == controlplane.DomainPendingCNAME || d.Status == controlplane.DomainError
}

// leadOn lets a certificate's job that waits for the DNS run now, and adds one where the domain
// has waited for it, unless the customer wants to ask for it. It returns the job that follows,
// nil where none does.
func (w *work) leadOn(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, now time.Time) (*controlplane.Job, error) {
	open, err := t.OpenJob(ctx, d.OrgID, d.ID, controlplane.JobStartIssuance.Slot())
	switch {
	case controlplane.IsKind(err, controlplane.KindNotFound):
		open = nil
	case err != nil:
		return nil, err
	case controlplane.IsCause(open.Reason):
		if open, _, err = t.ExpediteJob(ctx, d.OrgID, open.ID, now); err != nil {
			return nil, err
		}
	}
	if !awaitsDNS(d) || open == nil && !d.AutoIssue {
		return nil, nil
	}
	next, _, err := t.AddJob(ctx, w.issuanceJob(d, now))
	return next, err
}

// issuanceJob returns the job for the domain's first certificate.
func (w *work) issuanceJob(d *controlplane.Domain, now time.Time) *controlplane.Job {
	return newJob(controlplane.JobStartIssuance, controlplane.QueueCritical, d, w.claim.Job.RequestID, now)
}

// conclusion draws from what was seen what becomes of the domain and of the job. next is the
// certificate's job that follows.
func (w *work) conclusion(d *controlplane.Domain, seen controlplane.Examination, next *controlplane.Job, now time.Time) postgres.Conclusion {
	switch {
	case seen.OK():
		return w.delegated(d, seen, next, now)
	case d.Status == controlplane.DomainActive && seen.Transient():
		return w.deferRehearsal(d, seen, now)
	case d.Status == controlplane.DomainActive:
		return w.rehearsalFailed(d, seen, now)
	}
	return w.deferForDNS(d, seen, now)
}

// delegated records that the CNAME was seen, and that the issuance starts.
func (w *work) delegated(d *controlplane.Domain, seen controlplane.Examination, next *controlplane.Job, now time.Time) postgres.Conclusion {
	k := postgres.Conclusion{Domain: d}
	if d.Condition(controlplane.DNSReady).Status != controlplane.ConditionTrue {
		k.Entries = w.verified(d, now)
	}
	showDNS(d, seen, nil)
	d.CheckAttempts = 0
	if c := d.Condition(controlplane.RenewalOnTrack); d.HasCertificate(now) && c.Status == controlplane.ConditionFalse && controlplane.IsCause(c.Reason) {
		d.SetCondition(w.renewalPlan(d, now)) // what stood in its way is gone
	}
	result := map[string]any{"delegated": true}
	switch {
	case next != nil:
		showIssuing(d, now)
		result["next_job_id"] = next.ID
	case awaitsDNS(d):
		d.Status, d.StatusReason = controlplane.DomainPendingCNAME, controlplane.ReasonAwaitingIssue
		d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady, Status: controlplane.ConditionFalse, Reason: controlplane.ReasonAwaitingIssue,
			Message: "The CNAME is in place; issuing starts when it is asked for.", Fix: "POST /api/domains/" + d.ID + "/issue", LastCheckedAt: &now})
	}
	k.Outcome = postgres.Completed(result)
	return k
}

// deferForDNS puts the job off to its next turn, or gives up when the round of checks is over.
func (w *work) deferForDNS(d *controlplane.Domain, seen controlplane.Examination, now time.Time) postgres.Conclusion {
	cause := seen.Cause()
	pause := resolverPause
	if !seen.Transient() {
		d.CheckAttempts++
		pause = controlplane.NextCheck(d.CheckAttempts)
	}
	next := now.Add(pause).Truncate(time.Microsecond)
	if next.After(d.CheckSince.Add(controlplane.CheckFor)) && !d.HasCertificate(now) && !seen.Transient() {
		return w.abandonChecks(d, seen, now)
	}
	k := postgres.Conclusion{Domain: d, Entries: w.broken(d, seen, now), Outcome: postgres.Deferred(next, cause.Code)}
	if entry := w.newDeferralEntry(next, deferReason{code: cause.Code, message: cause.Summary}, now); entry != nil {
		k.Entries = append(k.Entries, *entry)
	}
	showDNS(d, seen, &next)
	switch {
	case d.HasCertificate(now):
		d.SetCondition(condition(controlplane.RenewalOnTrack, cause, "The renewal waits: ", now, &next))
	case seen.Transient() && d.Status != controlplane.DomainError: // what was known stands
	default:
		d.Status, d.StatusReason = controlplane.DomainPendingCNAME, controlplane.Reason(cause.Code)
		if seen.Delegation.OK() {
			d.SetCondition(condition(controlplane.CertificateReady, cause, "The certificate waits: ", now, &next))
		}
	}
	return k
}

// deferRehearsal puts off the look at an active domain that taught nothing: what was known stands.
func (w *work) deferRehearsal(d *controlplane.Domain, seen controlplane.Examination, now time.Time) postgres.Conclusion {
	next := now.Add(resolverPause)
	if w.claim.Job.Queue == controlplane.QueueBulk {
		next = now.Add(rehearsalPause)
	}
	showDNS(d, seen, &next)
	return postgres.Conclusion{Domain: d, Outcome: postgres.Deferred(next, seen.Cause().Code)}
}

// rehearsalFailed records that an active domain's renewal would fail. Its certificate still
// serves.
func (w *work) rehearsalFailed(d *controlplane.Domain, seen controlplane.Examination, now time.Time) postgres.Conclusion {
	cause := seen.Cause()
	k := postgres.Conclusion{Domain: d, Entries: w.broken(d, seen, now),
		Outcome: postgres.Completed(map[string]any{"delegated": seen.Delegation.OK(), "code": cause.Code})}
	showDNS(d, seen, nil)
	if !isSuspended(d) { // that comes first
		d.SetCondition(condition(controlplane.RenewalOnTrack, cause, "The next renewal would fail: ", now, d.RenewAt))
	}
	return k
}

// verified tells that the CNAME is there, and was not when it was last looked for.
func (w *work) verified(d *controlplane.Domain, now time.Time) []controlplane.AuditEntry {
	return w.about(d, controlplane.ActionDNSVerified, map[string]any{"target": w.DelegationOf(d).Target}, now)
}

// broken tells that the delegation of a domain with a certificate was right and is so no
// longer: once.
func (w *work) broken(d *controlplane.Domain, seen controlplane.Examination, now time.Time) []controlplane.AuditEntry {
	if !d.HasCertificate(now) || seen.Transient() || seen.Delegation.OK() || d.Condition(controlplane.DNSReady).Status != controlplane.ConditionTrue {
		return nil
	}
	cause := seen.Cause()
	return w.about(d, controlplane.ActionDelegationBroken,
		map[string]any{"code": cause.Code, "observed": cause.Observed, "observed_count": cause.Count, "expected": cause.Expected, "fix": cause.Fix}, now)
}

// abandonChecks ends a round of checks: nothing more happens until somebody asks.
func (w *work) abandonChecks(d *controlplane.Domain, seen controlplane.Examination, now time.Time) postgres.Conclusion {
	cause := seen.Cause()
	showDNS(d, seen, nil)
	d.Status, d.StatusReason = controlplane.DomainError, controlplane.ReasonDelegationTimeout
	return postgres.Conclusion{Domain: d,
		Entries: w.about(d, controlplane.ActionDelegationTimeout, map[string]any{"code": cause.Code, "fix": cause.Fix}, now),
		Outcome: postgres.Abandoned(controlplane.ReasonDelegationTimeout, "The CNAME was looked for during 30 days and not found. "+cause.Summary)}
}

// about returns an entry of the worker's on the domain.
func (w *work) about(d *controlplane.Domain, action string, details map[string]any, now time.Time) []controlplane.AuditEntry {
	entry := w.audit(d.OrgID, w.actor(), action, "domain", d.ID, now)
	entry.Details = details
	return []controlplane.AuditEntry{entry}
}
