package lifecycle

import (
	"context"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// rehearsalPause is the shortest delay of a rehearsal if all resolvers are unreachable.
const rehearsalPause = 5 * time.Minute

// isRoutine reports whether nobody waits for the check: it is a rehearsal of a domain without a
// known problem, and was not requested meanwhile.
func (w *work) isRoutine() bool {
	d, c := w.domain, w.domain.Condition(controlplane.DNSReady)
	renewal := d.Condition(controlplane.RenewalOnTrack)
	return w.claim.Job.Queue == controlplane.QueueBulk && !w.claim.Issuing &&
		d.Status == controlplane.DomainActive && c.Status == controlplane.ConditionTrue &&
		c.LastCheckedAt != nil && !c.LastCheckedAt.Before(d.CheckSince) &&
		(renewal.Status != controlplane.ConditionFalse || !controlplane.IsCause(renewal.Reason))
}

// check checks the domain's DNS. If a CA could issue, the certificate's job is added in the same
// transaction. Otherwise the check is deferred.
func (w *work) check(ctx context.Context) error {
	if w.isRoutine() {
		seen, err := w.rehearse(ctx)
		if err != nil {
			return err
		}
		if ended, err := w.concludeCheck(ctx, seen); ended || err != nil {
			return err
		}
		// The domain changed during the check: someone may have requested one.
	}
	seen, err := w.Examine(ctx, w.domain)
	if err != nil {
		return err
	}
	if seen, err = w.partly(ctx, seen); err != nil {
		return err
	}
	if w.defaults, err = w.readDefaults(ctx, w.domain.OrgID, undelegated(seen),
		w.domain.Condition(controlplane.DNSReady).LastCheckedAt); err != nil {
		return err
	}
	added, err := w.addable(ctx, seen)
	if err != nil {
		return err
	}
	if len(added) == 0 {
		if ended, err := w.concludeCheck(ctx, seen); ended || err != nil {
			return err
		}
	}
	// Another job is expedited, or the domain changed during the check.
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		d, err := t.LockDomain(ctx, w.domain.OrgID, w.domain.ID)
		if err != nil {
			return err
		}
		var next *controlplane.Job
		if seen.OK() {
			if next, err = w.startIssuance(ctx, t, d, now); err != nil {
				return err
			}
			if err := w.addNames(ctx, t, d, added, now); err != nil {
				return err
			}
		}
		return t.Conclude(ctx, w.claim, w.conclusion(d, seen, next, now), now)
	})
}

// concludeCheck ends the check without locking the domain. It returns false if that is not
// possible.
func (w *work) concludeCheck(
	ctx context.Context, seen controlplane.DomainExamination,
) (bool, error) {
	now, d := w.now(), *w.domain
	switch {
	case !w.startsIssuance(seen):
		return w.Store.Conclude(ctx, w.claim, w.conclusion(&d, seen, nil, now), now)
	case w.claim.Issuing, len(seen.Missing) > 0:
		return false, nil
	}
	next := w.issuanceJob(&d, now)
	return w.Store.ConcludeFollowed(ctx, w.claim, w.conclusion(&d, seen, next, now), next, now)
}

// startsIssuance reports whether the result of the check may add or expedite the certificate's job.
func (w *work) startsIssuance(seen controlplane.DomainExamination) bool {
	return seen.OK() && (w.claim.Issuing || w.domain.AutoIssue && awaitsDNS(w.domain))
}

// awaitsDNS reports whether the order of the domain's first certificate has not started.
func awaitsDNS(d *controlplane.Domain) bool {
	return d.Status == controlplane.DomainPendingCNAME || d.Status == controlplane.DomainError
}

// startIssuance expedites a certificate's job that was deferred for DNS or follows a dead-lettered
// one, and adds a job if the
// domain awaits its first certificate, unless auto-issue is off. It returns the added job, nil
// without one.
func (w *work) startIssuance(
	ctx context.Context, t *postgres.Tx, d *controlplane.Domain, now time.Time,
) (*controlplane.Job, error) {
	open, err := t.OpenJob(ctx, d.OrgID, d.ID, controlplane.JobStartIssuance.Slot())
	switch {
	case controlplane.IsKind(err, controlplane.KindNotFound):
		open = nil
	case err != nil:
		return nil, err
	case controlplane.IsCause(open.Reason), open.Reason == controlplane.ReasonFollowUp:
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

// issuanceJob returns the job of the domain's first certificate.
func (w *work) issuanceJob(d *controlplane.Domain, now time.Time) *controlplane.Job {
	return newJob(controlplane.JobStartIssuance, controlplane.QueueCritical, d,
		w.claim.Job.RequestID, now)
}

// conclusion returns the changes to the domain and the outcome of the job. next is the
// certificate's job that was added, if any.
func (w *work) conclusion(
	d *controlplane.Domain, seen controlplane.DomainExamination, next *controlplane.Job,
	now time.Time,
) postgres.Conclusion {
	k := w.conclusionOf(d, seen, next, now)
	showDefaults(k.Domain, w.defaults)
	return k
}

func (w *work) conclusionOf(
	d *controlplane.Domain, seen controlplane.DomainExamination, next *controlplane.Job,
	now time.Time,
) postgres.Conclusion {
	switch {
	case seen.OK() && len(seen.Missing) > 0:
		return w.partlyReady(d, seen, next, now)
	case seen.OK():
		return w.delegated(d, seen, next, now)
	case d.Status == controlplane.DomainActive && seen.Transient():
		return w.deferRehearsal(d, seen, now)
	case d.Status == controlplane.DomainActive:
		return w.rehearsalFailed(d, seen, now)
	}
	return w.deferForDNS(d, seen, now)
}

// delegated records that the delegation was verified, and that the issuance starts.
func (w *work) delegated(
	d *controlplane.Domain, seen controlplane.DomainExamination, next *controlplane.Job,
	now time.Time,
) postgres.Conclusion {
	k := postgres.Conclusion{Domain: d, Checks: seen.Names}
	if d.Condition(controlplane.DNSReady).Status != controlplane.ConditionTrue {
		k.Entries = w.verified(d, now)
	}
	showDNS(d, seen, nil)
	d.CheckAttempts = 0
	result := map[string]any{"delegated": true}
	if next != nil {
		result["next_job_id"] = next.ID
	}
	w.showReady(d, next, now)
	if k.Outcome = postgres.Completed(result); w.claim.Job.Queue == controlplane.QueueBulk &&
		d.Status == controlplane.DomainActive && len(k.Entries) == 0 {
		k.Outcome = postgres.Unrecorded(result) // a rehearsal that found nothing
	}
	return k
}

// showReady shows what follows a check that allows an order. next is the certificate's job that was
// added, if any.
func (w *work) showReady(d *controlplane.Domain, next *controlplane.Job, now time.Time) {
	if c := d.Condition(controlplane.RenewalOnTrack); d.HasCertificate(now) &&
		c.Status == controlplane.ConditionFalse && controlplane.IsCause(c.Reason) {
		if d.IsOutdated() && d.AutoIssue && d.ReissueAt == nil {
			d.ReissueAt = &now
		}
		d.SetCondition(renewalPlan(d, now)) // its cause is fixed
	}
	switch {
	case next != nil:
		showIssuing(d, now)
	case awaitsDNS(d):
		d.Status, d.StatusReason = controlplane.DomainPendingCNAME, controlplane.ReasonAwaitingIssue
		d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady,
			Status: controlplane.ConditionFalse, Reason: controlplane.ReasonAwaitingIssue,
			Message: "The CNAME is verified. The certificate is ordered on request.",
			Fix:     "POST /api/domains/" + d.ID + "/issue", LastCheckedAt: &now})
	}
}

// deferForDNS defers the job to the next check, or abandons it after CheckFor.
func (w *work) deferForDNS(
	d *controlplane.Domain, seen controlplane.DomainExamination, now time.Time,
) postgres.Conclusion {
	cause := seen.Cause()
	waits := 0
	var pause time.Duration
	if seen.Transient() {
		waits = w.claim.Job.Waits + 1
		pause = w.Backoff.Pause(waits, w.Rand())
	} else {
		d.CheckAttempts++
		pause = controlplane.NextCheck(d.CheckAttempts, w.Rand())
	}
	next := w.within(now.Add(pause), now)
	if next.After(d.CheckSince.Add(controlplane.CheckFor)) && !d.HasCertificate(now) &&
		!seen.Transient() {
		return w.abandonChecks(d, seen, now)
	}
	k := postgres.Conclusion{Domain: d, Checks: seen.Names,
		Entries: w.broken(d, seen, now),
		Outcome: postgres.DeferredBy(next, cause.Code, waits, nil)}
	if entry := w.newDeferralEntry(next, deferReason{code: cause.Code, message: cause.Summary},
		now); entry != nil {
		k.Entries = append(k.Entries, *entry)
	}
	showDNS(d, seen, &next)
	switch {
	case d.HasCertificate(now):
		d.SetCondition(conditionOf(controlplane.RenewalOnTrack, seen, "Renewal pending: ", now,
			&next))
	case seen.Transient() && d.Status != controlplane.DomainError: // the previous status stays
	default:
		d.Status, d.StatusReason = controlplane.DomainPendingCNAME, controlplane.Reason(cause.Code)
		if seen.Delegation.OK() {
			d.SetCondition(conditionOf(controlplane.CertificateReady, seen, "Certificate pending: ",
				now, &next))
		}
	}
	return k
}

// deferRehearsal defers the check of an active domain that gave no result. The previous result
// stays.
func (w *work) deferRehearsal(
	d *controlplane.Domain, seen controlplane.DomainExamination, now time.Time,
) postgres.Conclusion {
	waits := w.claim.Job.Waits + 1
	pause := w.Backoff.Pause(waits, w.Rand())
	if w.claim.Job.Queue == controlplane.QueueBulk {
		pause = max(pause, rehearsalPause)
	}
	next := now.Add(pause).Truncate(time.Microsecond)
	showDNS(d, seen, &next)
	return postgres.Conclusion{Domain: d, Checks: seen.Names,
		Outcome: postgres.DeferredBy(next, seen.Cause().Code, waits, nil)}
}

// rehearsalFailed records that an active domain's renewal would fail. Its certificate stays valid.
func (w *work) rehearsalFailed(
	d *controlplane.Domain, seen controlplane.DomainExamination, now time.Time,
) postgres.Conclusion {
	cause := seen.Cause()
	k := postgres.Conclusion{Domain: d, Checks: seen.Names,
		Entries: w.broken(d, seen, now),
		Outcome: postgres.Completed(map[string]any{"delegated": seen.Delegation.OK(),
			"code": cause.Code})}
	showDNS(d, seen, nil)
	if !isSuspended(d) { // a suspension takes precedence
		d.SetCondition(conditionOf(controlplane.RenewalOnTrack, seen,
			"The next renewal would fail: ", now, d.RenewAt))
	}
	return k
}

// verified returns the audit entry of a domain whose names are delegated, and were not before. With
// several names, it has those that were not ready.
func (w *work) verified(d *controlplane.Domain, now time.Time) []controlplane.AuditEntry {
	details := map[string]any{"target": w.DelegationOf(d).Target}
	if len(d.Targets) > 0 {
		details["names"] = slices.DeleteFunc(d.Bases(),
			func(name string) bool { return !notReady(d, name) })
	}
	return w.about(d, controlplane.ActionDNSVerified, details, now)
}

// broken returns the audit entry of a domain with a certificate of which a delegation no longer
// works, at the first check that finds it. With several names, it has those that broke.
func (w *work) broken(
	d *controlplane.Domain, seen controlplane.DomainExamination, now time.Time,
) []controlplane.AuditEntry {
	if !d.HasCertificate(now) {
		return nil
	}
	var names []controlplane.NameStatus
	for _, n := range seen.Undelegated() {
		if !n.Cause.Transient() && !notReady(d, n.Name) {
			names = append(names, n.Status())
		}
	}
	if len(names) == 0 {
		return nil
	}
	first := names[0]
	details := map[string]any{"code": first.Reason, "observed": first.Observed,
		"observed_count": first.ObservedCount, "expected": first.Expected, "fix": first.Fix}
	if len(d.Targets) > 0 {
		details["names"] = names
	}
	return w.about(d, controlplane.ActionDelegationBroken, details, now)
}

// abandonChecks ends the checks of a domain until one is requested.
func (w *work) abandonChecks(
	d *controlplane.Domain, seen controlplane.DomainExamination, now time.Time,
) postgres.Conclusion {
	cause := seen.Cause()
	showDNS(d, seen, nil)
	d.ReissueAt = nil
	d.Status, d.StatusReason = controlplane.DomainError, controlplane.ReasonDelegationTimeout
	return postgres.Conclusion{Domain: d, Checks: seen.Names,
		Entries: w.about(d, controlplane.ActionDelegationTimeout,
			map[string]any{"code": cause.Code, "fix": cause.Fix}, now),
		Outcome: postgres.Abandoned(controlplane.ReasonDelegationTimeout,
			"The CNAME was not found within 30 days. "+cause.Summary+
				alsoNotReady(len(seen.Missing)-1))}
}

// about returns an audit entry of the worker about the domain.
func (w *work) about(
	d *controlplane.Domain, action string, details map[string]any, now time.Time,
) []controlplane.AuditEntry {
	entry := w.audit(d.OrgID, w.actor(), action, "domain", d.ID, now)
	entry.Details = details
	return []controlplane.AuditEntry{entry}
}
