package lifecycle

import (
	"context"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// reissueDelay is how long an order waits after a change of options: changes within it share
	// one order.
	reissueDelay = 10 * time.Second
	// reissueRecheck is the interval between checks that an outdated certificate has an open job.
	reissueRecheck = time.Hour
)

// reissue schedules the order of a certificate with the domain's options if the current one is
// outdated. With auto_issue off, it cancels an order that has not started, and shows that the
// certificate is outdated. It returns the order's job, nil without one.
func (s *Service) reissue(
	ctx context.Context, t *postgres.Tx, d *controlplane.Domain, requestID string, now time.Time,
) (*controlplane.Job, error) {
	switch {
	case !d.IsOutdated() || isSuspended(d):
		return nil, nil
	case !d.AutoIssue:
		return nil, cancelReissue(ctx, t, d, now)
	}
	at := now.Add(reissueDelay)
	j, added, err := t.AddJob(ctx, reissueJob(d, requestID, at, now))
	if err == nil && !added {
		j, _, err = t.AdvanceJob(ctx, d.OrgID, j.ID, at, now)
	}
	if err != nil {
		return nil, err
	}
	if j.Status == controlplane.JobQueued {
		at = j.RunAt
	}
	d.ReissueAt = &at
	if d.Condition(controlplane.CertificateReady).Reason == controlplane.ReasonCertificateOutdated {
		if err := showCurrent(ctx, t, d, now); err != nil {
			return nil, err
		}
	}
	showDue(d, controlplane.JobStartIssuance, at, now)
	return j, nil
}

// reissueJob returns the job that orders a certificate because the options changed.
func reissueJob(
	d *controlplane.Domain, requestID string, at, now time.Time,
) *controlplane.Job {
	j := newJob(controlplane.JobStartIssuance, controlplane.QueueCritical, d, requestID, now)
	j.RunAt, j.Reason = at, controlplane.ReasonOptionsChanged
	return j
}

// cancelReissue removes the job of an outdated certificate if it has not started and nobody
// requested it.
func cancelReissue(
	ctx context.Context, t *postgres.Tx, d *controlplane.Domain, now time.Time,
) error {
	d.ReissueAt = nil
	open, err := t.OpenJob(ctx, d.OrgID, d.ID, controlplane.JobStartIssuance.Slot())
	if err != nil && !controlplane.IsKind(err, controlplane.KindNotFound) {
		return err
	}
	if err == nil && open.RunAt.After(now) {
		dropped, err := t.DropJob(ctx, open, controlplane.ReasonOptionsChanged)
		if err != nil {
			return err
		}
		if dropped && d.Condition(controlplane.RenewalOnTrack).Reason ==
			controlplane.ReasonOptionsChanged {
			d.SetCondition(renewalPlan(d, now))
		}
	}
	showOutdated(d, now)
	return nil
}

// showOutdated shows that the certificate is outdated, and that no new one is ordered
// automatically. Expiry and revocation take precedence.
func showOutdated(d *controlplane.Domain, now time.Time) {
	switch d.Condition(controlplane.CertificateReady).Reason {
	case controlplane.ReasonIssued, controlplane.ReasonChainNotOffered,
		controlplane.ReasonIssuedPartial,
		controlplane.ReasonCertificateOutdated:
	default:
		return
	}
	d.SetCondition(controlplane.Condition{Type: controlplane.CertificateReady,
		Status: controlplane.ConditionFalse, Reason: controlplane.ReasonCertificateOutdated,
		Message: "The certificate was ordered with earlier options.",
		Fix: "Request a certificate with the current options: POST /api/domains/" + d.ID +
			"/issue", LastCheckedAt: &now})
}

// showCurrent shows the domain's current certificate again.
func showCurrent(
	ctx context.Context, t *postgres.Tx, d *controlplane.Domain, now time.Time,
) error {
	cert, err := t.Certificate(ctx, d.OrgID, d.CertificateID)
	if err == nil {
		d.SetCondition(issuedCondition(cert, now))
	}
	return err
}

// settleRevision records the revision of the domain's new certificate. If the options have changed
// since its order was placed, the next order is due.
func settleRevision(d *controlplane.Domain, cert *controlplane.Certificate, now time.Time) {
	d.CertificateRevision = cert.OptionsRevision
	due := d.ReissueAt
	switch d.ReissueAt = nil; {
	case !d.IsOutdated():
	case !d.AutoIssue:
		showOutdated(d, now)
	case due == nil || due.Before(now) || due.After(now.Add(reissueDelay)):
		d.ReissueAt = &now
	default:
		d.ReissueAt = due // further changes can share the order until then
	}
}

// orderAgain adds the job of the next order if the domain got its certificate from an order that
// was placed before the options changed. The job that stored the certificate has ended.
func (w *work) orderAgain(
	ctx context.Context, t *postgres.Tx, d *controlplane.Domain, now time.Time,
) error {
	if !d.IsOutdated() || d.ReissueAt == nil {
		return nil
	}
	at := *d.ReissueAt
	if at.After(now.Add(reissueDelay)) {
		at = now
	}
	_, _, err := t.AddJob(ctx, reissueJob(d, w.claim.Job.RequestID, at, now))
	return err
}

// reissueLater schedules the next order of an outdated certificate after a job was dead-lettered,
// unless only the customer can fix the cause. It reports whether it did.
func reissueLater(d *controlplane.Domain, cause error, at time.Time) bool {
	d.ReissueAt = nil
	if !d.IsOutdated() || !d.AutoIssue || needsCustomer(cause) {
		return false
	}
	d.ReissueAt = &at
	return true
}

// Reissue adds the jobs of outdated certificates whose job was lost or is to be repeated, and
// returns their number. It returns 0 if another replica is already running it.
func (s *Service) Reissue(ctx context.Context) (int, error) {
	total := 0
	_, err := s.Store.TryLocked(ctx, "dcvaas-reissue", func(ctx context.Context) error {
		for {
			now := s.now()
			due, added, err := s.Store.QueueReissues(ctx, now, now.Add(reissueRecheck), sweepBatch)
			total += added
			if err != nil || due < sweepBatch {
				return err
			}
		}
	})
	return total, err
}

// outdatedFor reports whether the options have changed since the order was placed.
func outdatedFor(d *controlplane.Domain, o *controlplane.Order) bool {
	return revisionOf(d, o) < d.OptionsRevision
}

// revisionOf returns the revision of the domain's options that the order was placed for. An order
// of an older version of the program has none: it is compared with the options.
func revisionOf(d *controlplane.Domain, o *controlplane.Order) int64 {
	switch {
	case o.OptionsRevision > 0:
		return o.OptionsRevision
	case isFor(d, o):
		return d.OptionsRevision
	}
	return d.OptionsRevision - 1
}

// isFor reports whether the order was placed with the domain's options.
func isFor(d *controlplane.Domain, o *controlplane.Order) bool {
	if o.Profile != d.Profile || o.PreferredChain != d.PreferredChain ||
		!slices.Equal(o.Names, d.Names()) {
		return false
	}
	if d.CSRPEM == "" {
		return len(o.SealedKey) > 0 && o.KeyType == d.KeyType
	}
	der, _, err := controlplane.StoredCSR(d.CSRPEM)
	return err == nil && slices.Equal(der, o.CSR)
}

// otherCertificate reports whether the options differ in a way that changes the certificate.
func otherCertificate(a, b controlplane.Options) bool {
	return a.Wildcard != b.Wildcard || !slices.Equal(a.AdditionalNames, b.AdditionalNames) ||
		a.KeyType != b.KeyType ||
		!rules.SameCSR(a.CSRPEM, b.CSRPEM) || a.Profile != b.Profile ||
		a.PreferredChain != b.PreferredChain || a.CA != b.CA
}
