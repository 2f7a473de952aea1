package lifecycle

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// DomainPatch changes a domain's options. nil keeps an option, and "" clears it.
type DomainPatch struct {
	Wildcard        *bool
	AdditionalNames *[]string // the whole set, in any form
	IssuePartial    *bool
	KeyType         *controlplane.KeyType
	CSRPEM          *string
	Profile         *string
	PreferredChain  *string
	CA              *string
	AutoIssue       *bool
	AutoRenew       *bool
	Labels          *map[string]string
	ConnectionID    *string
}

// apply sets the options of the patch.
func (p DomainPatch) apply(o *controlplane.Options) {
	set(&o.Wildcard, p.Wildcard)
	set(&o.AdditionalNames, p.AdditionalNames)
	set(&o.IssuePartial, p.IssuePartial)
	set(&o.KeyType, p.KeyType)
	set(&o.CSRPEM, p.CSRPEM)
	set(&o.Profile, p.Profile)
	set(&o.PreferredChain, p.PreferredChain)
	set(&o.CA, p.CA)
	set(&o.AutoIssue, p.AutoIssue)
	set(&o.AutoRenew, p.AutoRenew)
	set(&o.Labels, p.Labels)
	set(&o.ConnectionID, p.ConnectionID)
}

// UpdateDomain changes a domain's options. If its certificate depends on them, a new one is
// ordered, unless auto_issue is off. A patch that sets what is already set changes nothing. It
// returns KindPrecondition if ifVersion is neither 0 nor the domain's version, and KindForbidden if
// its names need more delegations than the plan includes.
func (s *Service) UpdateDomain(
	ctx context.Context, actor controlplane.Actor, orgID, ref string, ifVersion int64,
	p DomainPatch,
) (*controlplane.Domain, error) {
	var d *controlplane.Domain
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		update := func() (err error) {
			if d, err = t.LockDomain(ctx, orgID, ref); err != nil {
				return err
			}
			if err := sameVersion(d, ifVersion); err != nil {
				return err
			}
			return s.update(ctx, t, actor, d, p)
		}
		if p.AdditionalNames == nil && p.ConnectionID == nil {
			return update()
		}
		return withinDelegations(ctx, t, orgID, update)
	})
	if p.AdditionalNames != nil {
		err = s.thenRemove(ctx, orgID, err)
	}
	return d, err
}

// update is UpdateDomain for a locked domain.
func (s *Service) update(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, d *controlplane.Domain,
	p DomainPatch,
) error {
	now := s.now()
	before, old := describe(d), *d
	p.apply(&d.Options)
	problem := &controlplane.Error{}
	s.checkPatch(d, old.Options, p, problem)
	if p.CSRPEM != nil {
		if err := checkKey(ctx, t, d.OrgID, d.CSRPEM, problem); err != nil {
			return err
		}
	}
	if p.ConnectionID != nil {
		if err := knownConnection(ctx, t, d.OrgID, d.ConnectionID, problem); err != nil {
			return err
		}
	}
	if err := invalid(problem); err != nil || same(d.Options, old.Options) {
		return err
	}
	order, err := s.applyOptions(ctx, t, d, &old, p, actor.RequestID, now)
	if err != nil {
		return err
	}
	if err := t.SaveDomain(ctx, d, now); err != nil {
		return err
	}
	entry := s.audit(d.OrgID, actor, controlplane.ActionDomainUpdated, "domain", d.ID, now)
	entry.Before, entry.After = before, describe(d)
	if order != nil {
		entry.Details = map[string]any{"job_id": order.ID}
	}
	if err := t.Audit(ctx, entry); err != nil ||
		d.ConnectionID == old.ConnectionID && maps.Equal(d.Targets, old.Targets) {
		return err
	}
	return s.requestDomain(ctx, t, actor, d, now)
}

// checkPatch validates the options after a patch, and adds every invalid field to e. It checks only
// what changes or depends on a change.
func (s *Service) checkPatch(
	d *controlplane.Domain, old controlplane.Options, p DomainPatch, e *controlplane.Error,
) {
	valid := true
	if p.AdditionalNames != nil || d.Wildcard != old.Wildcard {
		valid = s.checkNames(d.Name, &d.Options, e)
		d.Targets = s.targetsOf(d.OrgID, d.Name, d.AdditionalNames)
	}
	otherNames := d.Wildcard != old.Wildcard ||
		!slices.Equal(d.AdditionalNames, old.AdditionalNames)
	s.checkOptions(d.Name, &d.Options, p.KeyType != nil,
		valid && (p.CSRPEM != nil || p.KeyType != nil || otherNames), e)
}

// applyOptions brings the domain's jobs and conditions in line with its changed options. It returns
// the job that orders a certificate with them, nil without one. The domain must be saved
// afterwards.
func (s *Service) applyOptions(
	ctx context.Context, t *postgres.Tx, d, old *controlplane.Domain, p DomainPatch,
	requestID string, now time.Time,
) (order *controlplane.Job, err error) {
	if d.AutoRenew != old.AutoRenew && d.HasCertificate(now) && planned(d) {
		d.SetCondition(renewalPlan(d, now))
	}
	if p.CSRPEM != nil && isSuspended(d) {
		if err := s.resumeOrders(ctx, t, d, requestID, now); err != nil {
			return nil, err
		}
	}
	if d.PreferredChain != old.PreferredChain {
		if err := forgetChain(ctx, t, d); err != nil {
			return nil, err
		}
	}
	if otherCertificate(d.Options, old.Options) {
		d.OptionsRevision++
		d.CheckSince = now // the DNS is checked before the next order
	}
	if d.OptionsRevision > old.OptionsRevision || d.AutoIssue != old.AutoIssue {
		if order, err = s.reissue(ctx, t, d, requestID, now); err != nil {
			return nil, err
		}
	}
	if d.AutoIssue && !old.AutoIssue && d.StatusReason == controlplane.ReasonAwaitingIssue {
		// The CNAME was verified before: the new check starts the order.
		if _, _, err := t.AddJob(ctx, newJob(controlplane.JobDNSCheck,
			controlplane.QueueCritical, d, requestID, now)); err != nil {
			return nil, err
		}
	}
	return order, s.recheckNames(ctx, t, d, old, requestID, now)
}

// DeleteDomain deletes a domain with everything that belongs to it. The validation zone no longer
// serves its target. Its history stays in the audit log.
func (s *Service) DeleteDomain(
	ctx context.Context, actor controlplane.Actor, orgID, ref string, ifVersion int64,
) error {
	if err := s.removeOldJobs(ctx, orgID, ref, ifVersion); err != nil {
		return err
	}
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		// The organization first, as all that adds or removes a use of a delegation does.
		if _, err := t.LockOrganization(ctx, orgID); err != nil {
			return err
		}
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
	return s.thenRemove(ctx, orgID, err)
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
