package lifecycle

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// RequestCheck starts a DNS check of the domain. It returns the job, and whether this call added or
// expedited it.
func (s *Service) RequestCheck(
	ctx context.Context, actor controlplane.Actor, orgID, ref string,
) (*controlplane.Job, bool, error) {
	return s.request(ctx, actor, orgID, ref, controlplane.JobDNSCheck,
		controlplane.ActionCheckRequested)
}

// RequestIssue orders a certificate now, even if the domain has one. It returns KindInvalid if the
// key of the domain's CSR is compromised, and KindRateLimited if the certificate was renewed
// recently.
func (s *Service) RequestIssue(
	ctx context.Context, actor controlplane.Actor, orgID, ref string,
) (*controlplane.Job, bool, error) {
	return s.request(ctx, actor, orgID, ref, controlplane.JobStartIssuance,
		controlplane.ActionIssueRequested)
}

// RequestRenew orders the successor of the current certificate now. It returns KindConflict
// without a certificate, and the errors of RequestIssue.
func (s *Service) RequestRenew(
	ctx context.Context, actor controlplane.Actor, orgID, ref string,
) (*controlplane.Job, bool, error) {
	return s.request(ctx, actor, orgID, ref, controlplane.JobRenewal,
		controlplane.ActionRenewRequested)
}

func (s *Service) request(
	ctx context.Context, actor controlplane.Actor, orgID, ref string, kind controlplane.JobType,
	action string,
) (*controlplane.Job, bool, error) {
	var job *controlplane.Job
	var started bool
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		d, err := t.LockDomain(ctx, orgID, ref)
		if err != nil {
			return err
		}
		if kind == controlplane.JobRenewal && d.CertificateID == "" {
			return &controlplane.Error{Kind: controlplane.KindConflict,
				Code: "no-certificate", ExistingID: d.ID,
				Message: d.Name + " has no certificate to renew.",
				Fix:     "Request the first one with POST /api/domains/" + d.ID + "/issue."}
		}
		if kind != controlplane.JobDNSCheck {
			problem := &controlplane.Error{}
			if err := checkKey(ctx, t, orgID, d.CSRPEM, problem); err != nil {
				return err
			}
			if err := invalid(problem); err != nil {
				return err
			}
			if err := unpause(ctx, t, d); err != nil {
				return err
			}
			_, err := t.OpenJob(ctx, orgID, d.ID, kind.Slot())
			if controlplane.IsKind(err, controlplane.KindNotFound) {
				err = renewedRecently(ctx, t, d, now)
			}
			if err != nil {
				return err
			}
		}
		if job, started, err = t.AddJob(ctx,
			newJob(kind, controlplane.QueueCritical, d, actor.RequestID, now)); err != nil {
			return err
		}
		if !started {
			// A job of this kind is open: if it is scheduled for later, it becomes due now.
			open := job
			if job, started, err = t.ExpediteJob(ctx, orgID, job.ID, now); err != nil {
				return err
			}
			if !started {
				return joinRehearsal(ctx, t, d, open, now)
			}
		}
		if d.Status == controlplane.DomainError && kind == controlplane.JobDNSCheck {
			d.Status, d.StatusReason = controlplane.DomainPendingCNAME,
				controlplane.ReasonCNAMEUnchecked
		}
		d.CheckSince, d.CheckAttempts = now, 0 // the 30 days of checks start over
		showRequested(d, kind, now)
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, action, "domain", d.ID, now)
		entry.Details = map[string]any{"job_id": job.ID}
		return t.Audit(ctx, entry)
	})
	return job, started, err
}

// joinRehearsal records that someone waits for a rehearsal that is due or runs, so that it does not
// reuse earlier findings.
func joinRehearsal(
	ctx context.Context, t *postgres.Tx, d *controlplane.Domain, j *controlplane.Job, now time.Time,
) error {
	if j.Type != controlplane.JobDNSCheck || j.Queue != controlplane.QueueBulk {
		return nil
	}
	d.CheckSince = now
	return t.SaveDomain(ctx, d, now)
}

// RestartJob restarts a failed job and resets its attempts. A job that waits because CAs have
// paused its names becomes due, and the pauses are forgotten. It is idempotent: if the job or
// another one of its kind on the domain is open, it returns that job and false. It returns
// KindConflict for a job that succeeded, and KindRateLimited for the job of a certificate that was
// renewed meanwhile.
func (s *Service) RestartJob(
	ctx context.Context, actor controlplane.Actor, orgID, id string,
) (*controlplane.Job, bool, error) {
	var job *controlplane.Job
	var started bool
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		var err error
		if job, started, err = t.RestartJob(ctx, orgID, id, now); err != nil {
			return err
		}
		if !started {
			if job.ID != id || job.Reason == controlplane.ReasonFollowUp {
				// Another job continues the work: if it waits, it becomes due now.
				job, started, err = t.ExpediteJob(ctx, orgID, job.ID, now)
				if err != nil {
					return err
				}
			}
		}
		if !started {
			if job.Status == controlplane.JobSucceeded {
				return &controlplane.Error{Kind: controlplane.KindConflict,
					Code: "job-succeeded", ExistingID: job.ID,
					Message: "The job succeeded, so it can't be retried.",
					Fix:     "Start a new job with verify, issue, or renew on the domain."}
			}
			job, started, err = s.retryPaused(ctx, t, actor, job)
			return err
		}
		if job.DeliveryID != "" {
			entry := s.audit(orgID, actor, controlplane.ActionJobRetried, "job", job.ID, now)
			entry.Details = map[string]any{"delivery_id": job.DeliveryID, "type": string(job.Type)}
			return t.Audit(ctx, entry)
		}
		if job.DelegationID != "" {
			entry := s.audit(orgID, actor, controlplane.ActionJobRetried, "job", job.ID, now)
			entry.Details = map[string]any{"delegation_id": job.DelegationID,
				"type": string(job.Type)}
			return t.Audit(ctx, entry)
		}
		if job.ConnectionID != "" {
			entry := s.audit(orgID, actor, controlplane.ActionJobRetried, "job", job.ID, now)
			entry.Details = map[string]any{"connection_id": job.ConnectionID,
				"type": string(job.Type)}
			return t.Audit(ctx, entry)
		}
		d, err := t.LockDomain(ctx, orgID, job.DomainID)
		if err != nil {
			return err
		}
		if job.Slot() == controlplane.JobRenewal.Slot() {
			if err := renewedRecently(ctx, t, d, now); err != nil {
				return err
			}
			if err := unpause(ctx, t, d); err != nil {
				return err
			}
		}
		if d.Status == controlplane.DomainError && job.Type == controlplane.JobDNSCheck {
			d.Status, d.StatusReason = controlplane.DomainPendingCNAME,
				controlplane.ReasonCNAMEUnchecked
		}
		d.CheckSince, d.CheckAttempts = now, 0
		showRequested(d, job.Type, now)
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionJobRetried, "job", job.ID, now)
		entry.Details = map[string]any{"domain_id": job.DomainID, "type": string(job.Type)}
		return t.Audit(ctx, entry)
	})
	return job, started, err
}

// renewedRecently returns the error of a request for a certificate within an hour after the
// domain's last renewal. It returns nil if the renewal is due, or the domain's options changed.
func renewedRecently(
	ctx context.Context, t *postgres.Tx, d *controlplane.Domain, now time.Time,
) error {
	if d.CertificateID == "" || d.IsOutdated() {
		return nil
	}
	at, err := t.RenewedAt(ctx, d.OrgID, d.CertificateID)
	if err != nil || at == nil || now.Sub(*at) >= controlplane.RenewalPause {
		return err
	}
	cert, err := t.Certificate(ctx, d.OrgID, d.CertificateID)
	if err != nil {
		return err
	}
	if due, revoked, err := isDue(ctx, t, d, cert, now); due || revoked || err != nil {
		return err
	}
	again := at.Add(controlplane.RenewalPause)
	return &controlplane.Error{Kind: controlplane.KindRateLimited,
		Code: "renewed-recently", ExistingID: d.ID, RetryAt: again,
		Message: "The certificate of " + d.Name + " was renewed at " +
			at.UTC().Format("2006-01-02 15:04 MST") +
			" and is not due. A certificate that is not due can be renewed once an hour.",
		Fix: "Use the current certificate, or request the renewal again at " +
			again.UTC().Format("2006-01-02 15:04:05 MST") + "."}
}
