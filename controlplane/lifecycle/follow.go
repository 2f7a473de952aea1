package lifecycle

import (
	"context"
	"errors"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// follow schedules the next attempt after the job was dead-lettered, and returns its time: the
// renewal is due again, or another job follows for up to FollowUpFor. It returns nil if neither
// happens, because only the customer can fix the cause, or can request the work.
func (w *work) follow(
	ctx context.Context, t *postgres.Tx, d *controlplane.Domain, cause error, now time.Time,
) (*time.Time, error) {
	j := w.claim.Job
	switch {
	case j.Type == controlplane.JobRevocation:
		return nil, nil
	case j.Slot() == controlplane.JobRenewal.Slot() && d.CertificateID != "":
		again := w.renewAgain(d, now)
		if reissueLater(d, cause, *again) || d.AutoRenew {
			return again, nil
		}
	}
	switch {
	case d.HasCertificate(now), needsCustomer(cause):
		return nil, nil
	}
	since := now
	if j.RoundSince != nil {
		since = *j.RoundSince
	}
	at := now.Add(controlplane.FollowUpAfter(j.Round, w.Rand())).Truncate(time.Microsecond)
	if at.After(since.Add(controlplane.FollowUpFor)) {
		return nil, nil
	}
	next := newJob(j.Type, controlplane.QueueDefault, d, j.RequestID, now)
	if j.Slot() == controlplane.JobRenewal.Slot() {
		next.Type = controlplane.JobStartIssuance
	}
	next.RunAt, next.Reason = at, controlplane.ReasonFollowUp
	next.Round, next.RoundSince = j.Round+1, &since
	_, _, err := t.AddJob(ctx, next)
	return &at, err
}

// renewAgain makes the renewal due again, well before the certificate expires. Until then, nothing
// starts it automatically.
func (w *work) renewAgain(d *controlplane.Domain, now time.Time) *time.Time {
	var expires time.Time
	if d.HasCertificate(now) {
		expires = *d.ExpiresAt
	}
	again := now.Add(24 * time.Hour)
	if latest := controlplane.LatestAttempt(now, expires, false); again.After(latest) {
		again = latest
	}
	again = again.Truncate(time.Microsecond)
	d.RenewAt, d.RetryAt = &again, &again
	return &again
}

// needsCustomer reports whether only the customer can fix the cause of a failure.
func needsCustomer(cause error) bool {
	if r, ok := errors.AsType[*refusal](cause); ok {
		return r.customer
	}
	if j, ok := errors.AsType[controlplane.Judged](cause); ok {
		return j.Verdict().Actor() == controlplane.PartyCustomer
	}
	code, known := controlplane.CodeOf(controlplane.AsError(cause).Code)
	return known && code.Actor == controlplane.PartyCustomer
}
