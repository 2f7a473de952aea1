package lifecycle

import (
	"context"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// RequestCheck makes the domain's delegation be looked at now. It returns the job, and
// whether this call started it or made it come sooner.
func (s *Service) RequestCheck(ctx context.Context, actor controlplane.Actor, orgID, ref string) (*controlplane.Job, bool, error) {
	return s.request(ctx, actor, orgID, ref, controlplane.JobDNSCheck, controlplane.ActionCheckRequested)
}

// RequestIssue orders a certificate now, also where there is one. Where the domain's
// certificate request holds a compromised key, the error is KindInvalid, and where the present
// certificate is a renewal that has just come, KindRateLimited; so they are of RequestRenew.
func (s *Service) RequestIssue(ctx context.Context, actor controlplane.Actor, orgID, ref string) (*controlplane.Job, bool, error) {
	return s.request(ctx, actor, orgID, ref, controlplane.JobStartIssuance, controlplane.ActionIssueRequested)
}

// RequestRenew orders the successor of the present certificate now. Where there is none the
// error is KindConflict.
func (s *Service) RequestRenew(ctx context.Context, actor controlplane.Actor, orgID, ref string) (*controlplane.Job, bool, error) {
	return s.request(ctx, actor, orgID, ref, controlplane.JobRenewal, controlplane.ActionRenewRequested)
}

func (s *Service) request(ctx context.Context, actor controlplane.Actor, orgID, ref string, kind controlplane.JobType, action string) (*controlplane.Job, bool, error) {
	var job *controlplane.Job
	var started bool
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		d, err := t.LockDomain(ctx, orgID, ref)
		if err != nil {
			return err
		}
		if kind == controlplane.JobRenewal && d.CertificateID == "" {
			return &controlplane.Error{Kind: controlplane.KindConflict, Code: "no-certificate", ExistingID: d.ID,
				Message: d.Name + " has no certificate to renew.", Fix: "Ask for the first one with POST /api/domains/" + d.ID + "/issue."}
		}
		if kind != controlplane.JobDNSCheck {
			problem := &controlplane.Error{}
			if err := checkKey(ctx, t, orgID, d.CSRPEM, problem); err != nil {
				return err
			}
			if err := invalid(problem); err != nil {
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
		if job, started, err = t.AddJob(ctx, newJob(kind, controlplane.QueueCritical, d, actor.RequestID, now)); err != nil {
			return err
		}
		if !started {
			// The same work is under way: where it waits for its time, that is now.
			if job, started, err = t.ExpediteJob(ctx, orgID, job.ID, now); err != nil || !started {
				return err
			}
		}
		if d.Status == controlplane.DomainError && kind == controlplane.JobDNSCheck {
			d.Status, d.StatusReason = controlplane.DomainPendingCNAME, controlplane.ReasonCNAMEUnchecked
		}
		d.CheckSince, d.CheckAttempts = now, 0 // somebody is looking again
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, action, "domain", d.ID, now)
		entry.Details = map[string]any{"job_id": job.ID}
		return t.Audit(ctx, entry)
	})
	return job, started, err
}

// RestartJob starts a failed job afresh with all its attempts, once, however often it is asked
// for: where it, or other work of its kind on the domain, is queued or running, that job is
// returned, and false. A job that succeeded is KindConflict, and one for a certificate that was
// renewed meanwhile KindRateLimited.
func (s *Service) RestartJob(ctx context.Context, actor controlplane.Actor, orgID, id string) (*controlplane.Job, bool, error) {
	var job *controlplane.Job
	var started bool
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		var err error
		if job, started, err = t.RestartJob(ctx, orgID, id, now); err != nil {
			return err
		}
		if !started {
			if job.Status == controlplane.JobSucceeded {
				return &controlplane.Error{Kind: controlplane.KindConflict, Code: "job-succeeded", ExistingID: job.ID,
					Message: "The job has succeeded; there is nothing to retry.", Fix: "Start new work with verify, issue or renew on the domain."}
			}
			return nil
		}
		if job.DeliveryID != "" {
			entry := s.audit(orgID, actor, controlplane.ActionJobRetried, "job", job.ID, now)
			entry.Details = map[string]any{"delivery_id": job.DeliveryID, "type": string(job.Type)}
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
		}
		if d.Status == controlplane.DomainError && job.Type == controlplane.JobDNSCheck {
			d.Status, d.StatusReason = controlplane.DomainPendingCNAME, controlplane.ReasonCNAMEUnchecked
		}
		d.CheckSince, d.CheckAttempts = now, 0
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionJobRetried, "job", job.ID, now)
		entry.Details = map[string]any{"domain_id": job.DomainID, "type": string(job.Type)}
		return t.Audit(ctx, entry)
	})
	return job, started, err
}

// renewedRecently is the error of a request for a certificate within an hour of the domain's last renewal,
// nil where that is longer ago, where a new certificate is due, and where its options have changed.
func renewedRecently(ctx context.Context, t *postgres.Tx, d *controlplane.Domain, now time.Time) error {
	if d.CertificateID == "" {
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
	order, err := t.Order(ctx, d.OrgID, cert.OrderID)
	if err != nil && !controlplane.IsKind(err, controlplane.KindNotFound) {
		return err
	}
	if !isWanted(d, cert, order) {
		return nil
	}
	again := at.Add(controlplane.RenewalPause)
	return &controlplane.Error{Kind: controlplane.KindRateLimited, Code: "renewed-recently", ExistingID: d.ID, RetryAt: again,
		Message: "The certificate of " + d.Name + " was renewed at " + at.UTC().Format("2006-01-02 15:04 MST") + " and is not due. One that is not due is renewed at most once an hour.",
		Fix:     "Use the present certificate, or request the renewal again at " + again.UTC().Format("2006-01-02 15:04:05 MST") + "."}
}

// isWanted reports whether the certificate is as the domain's options want it: what it shows itself,
// and what its order, nil where that is gone, was placed for.
func isWanted(d *controlplane.Domain, cert *controlplane.Certificate, o *controlplane.Order) bool {
	names := func(list []string) []string { return slices.Sorted(slices.Values(list)) }
	switch {
	case d.CA != "" && d.CA != cert.CA && !slices.Contains(d.ForbiddenCAs, d.CA),
		d.CSRPEM == "" && !cert.HasKey(),
		d.CSRPEM != "" && !holdsKeyOf(d.CSRPEM, cert),
		d.KeyType != cert.KeyType,
		!slices.Equal(names(cert.Names), names(controlplane.CertificateNames(d.Name, d.Wildcard))):
		return false
	}
	return o == nil || o.Profile == d.Profile && o.PreferredChain == d.PreferredChain
}
