package lifecycle

import (
	"context"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// DomainPatch changes a domain's options. nil keeps an option, and "" clears it.
type DomainPatch struct {
	Wildcard       *bool
	KeyType        *controlplane.KeyType
	CSRPEM         *string
	Profile        *string
	PreferredChain *string
	CA             *string
	AutoIssue      *bool
	AutoRenew      *bool
	Labels         *map[string]string
}

// UpdateDomain changes a domain's options. If its certificate depends on them, a new one is
// ordered, unless auto_issue is off. A patch that sets what is already set changes nothing. It
// returns KindPrecondition if ifVersion is neither 0 nor the domain's version.
func (s *Service) UpdateDomain(
	ctx context.Context, actor controlplane.Actor, orgID, ref string, ifVersion int64,
	p DomainPatch,
) (*controlplane.Domain, error) {
	var d *controlplane.Domain
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		var err error
		if d, err = t.LockDomain(ctx, orgID, ref); err != nil {
			return err
		}
		if err := sameVersion(d, ifVersion); err != nil {
			return err
		}
		before, old, revision := describe(d), d.Options, d.OptionsRevision
		set(&d.Wildcard, p.Wildcard)
		set(&d.KeyType, p.KeyType)
		set(&d.CSRPEM, p.CSRPEM)
		set(&d.Profile, p.Profile)
		set(&d.PreferredChain, p.PreferredChain)
		set(&d.CA, p.CA)
		set(&d.AutoIssue, p.AutoIssue)
		set(&d.AutoRenew, p.AutoRenew)
		set(&d.Labels, p.Labels)
		problem := &controlplane.Error{}
		s.checkOptions(d.Name, &d.Options, p.KeyType != nil,
			p.CSRPEM != nil || p.KeyType != nil || d.Wildcard != old.Wildcard, problem)
		if p.CSRPEM != nil {
			if err := checkKey(ctx, t, orgID, d.CSRPEM, problem); err != nil {
				return err
			}
		}
		if err := invalid(problem); err != nil || same(d.Options, old) {
			return err
		}
		if d.AutoRenew != old.AutoRenew && d.HasCertificate(now) && planned(d) {
			d.SetCondition(renewalPlan(d, now))
		}
		if p.CSRPEM != nil && isSuspended(d) {
			if err := s.resumeOrders(ctx, t, d, actor.RequestID, now); err != nil {
				return err
			}
		}
		if d.PreferredChain != old.PreferredChain {
			if err := forgetChain(ctx, t, d); err != nil {
				return err
			}
		}
		if otherCertificate(d.Options, old) {
			d.OptionsRevision++
			d.CheckSince = now // the DNS is checked before the next order
		}
		var order *controlplane.Job
		if d.OptionsRevision > revision || d.AutoIssue != old.AutoIssue {
			if order, err = s.reissue(ctx, t, d, actor.RequestID, now); err != nil {
				return err
			}
		}
		if d.AutoIssue && !old.AutoIssue && d.StatusReason == controlplane.ReasonAwaitingIssue {
			// The CNAME was verified before: the new check starts the order.
			if _, _, err := t.AddJob(ctx,
				newJob(controlplane.JobDNSCheck, controlplane.QueueCritical, d, actor.RequestID,
					now)); err != nil {
				return err
			}
		}
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionDomainUpdated, "domain", d.ID, now)
		entry.Before, entry.After = before, describe(d)
		if order != nil {
			entry.Details = map[string]any{"job_id": order.ID}
		}
		return t.Audit(ctx, entry)
	})
	return d, err
}

// DeleteDomain deletes a domain with everything that belongs to it. The validation zone no longer
// serves its target. Its history stays in the audit log.
func (s *Service) DeleteDomain(
	ctx context.Context, actor controlplane.Actor, orgID, ref string, ifVersion int64,
) error {
	if err := s.removeOldJobs(ctx, orgID, ref, ifVersion); err != nil {
		return err
	}
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		d, err := t.LockDomain(ctx, orgID, ref)
		if err != nil {
			return err
		}
		if err := sameVersion(d, ifVersion); err != nil {
			return err
		}
		if err := t.DeleteDomain(ctx, orgID, d.ID); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionDomainDeleted, "domain", d.ID, s.now())
		entry.Before = describe(d)
		return t.Audit(ctx, entry)
	})
}

// removeOldJobs removes the finished jobs of a domain that is to be deleted, except the newest, in
// batches: each request of a check adds one, and the deletion, which blocks other deletions and
// additions in the organization, removes the rest.
func (s *Service) removeOldJobs(
	ctx context.Context, orgID, ref string, ifVersion int64,
) error {
	d, err := s.Store.Domain(ctx, orgID, ref)
	if err != nil {
		return err
	}
	if err := sameVersion(d, ifVersion); err != nil {
		return err
	}
	for n := tidyBatch; n == tidyBatch; {
		if n, err = s.Store.RemoveJobsOf(ctx, orgID, d.ID, tidyBatch); err != nil {
			return err
		}
	}
	return nil
}

// planned reports whether the domain's renewal has no problem to show besides its expiry.
func planned(d *controlplane.Domain) bool {
	reason := d.Condition(controlplane.RenewalOnTrack).Reason
	return reason == controlplane.ReasonScheduled || reason == controlplane.ReasonAutoRenewOff ||
		reason == controlplane.ReasonCertificateExpiring
}

func sameVersion(d *controlplane.Domain, ifVersion int64) error {
	if ifVersion == 0 || ifVersion == d.Version {
		return nil
	}
	return &controlplane.Error{Kind: controlplane.KindPrecondition, Code: "precondition-failed",
		Message: "The domain changed after it was read.",
		Fix:     "Fetch the domain again and send its new ETag in If-Match."}
}

func set[T any](field *T, v *T) {
	if v != nil {
		*field = *v
	}
}
