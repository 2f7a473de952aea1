package lifecycle

import (
	"context"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// delegationDaily is the pause between the checks of a pinned delegation that is verified, and
// after a dead-lettered check.
const delegationDaily = 24 * time.Hour

// delegationJob returns a check of a delegation that is due at now.
func delegationJob(
	g *controlplane.Delegation, requestID string, now time.Time,
) *controlplane.Job {
	return &controlplane.Job{ID: controlplane.NewID(controlplane.PrefixJob), OrgID: g.OrgID,
		DelegationID: g.ID, Type: controlplane.JobDelegationCheck,
		Queue: controlplane.QueueCritical, Status: controlplane.JobQueued, RunAt: now,
		RequestID: requestID, CreatedAt: now}
}

// RequestDelegationCheck starts a check of the delegation, and one of each domain that uses it and
// waits for DNS, among those in only; nil means all. It returns the job of the delegation, and
// whether this call added or expedited it.
func (s *Service) RequestDelegationCheck(
	ctx context.Context, actor controlplane.Actor, orgID, ref string, only []string,
) (*controlplane.Job, bool, error) {
	var job *controlplane.Job
	var started bool
	var users []string
	err := s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		g, err := t.LockDelegation(ctx, orgID, ref)
		if err != nil {
			return err
		}
		users = g.DomainIDs
		job, started, err = t.AddDelegationCheck(ctx, delegationJob(g, actor.RequestID, now))
		if err == nil && !started {
			job, started, err = t.ExpediteJob(ctx, orgID, job.ID, now)
		}
		if err != nil || !started {
			return err
		}
		g.CheckSince, g.CheckAttempts, g.NextCheckAt = now, 0, &now
		if err := t.SaveDelegation(ctx, g, now); err != nil {
			return err
		}
		entry := s.audit(orgID, actor, controlplane.ActionDelegationChecked, "delegation", g.ID,
			now)
		entry.Details = map[string]any{"job_id": job.ID}
		return t.Audit(ctx, entry)
	})
	if err != nil {
		return nil, false, err
	}
	for _, id := range users {
		if only != nil && !slices.Contains(only, id) {
			continue
		}
		if err := s.checkWaiting(ctx, actor, orgID, id); err != nil {
			return nil, false, err
		}
	}
	return job, started, nil
}

// checkWaiting starts a check of a domain if it waits for DNS.
func (s *Service) checkWaiting(
	ctx context.Context, actor controlplane.Actor, orgID, id string,
) error {
	d, err := s.Store.Domain(ctx, orgID, id)
	if err == nil && (awaitsDNS(d) ||
		d.Condition(controlplane.DNSReady).Status == controlplane.ConditionFalse) {
		_, _, err = s.RequestCheck(ctx, actor, orgID, id)
	}
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return nil // it was deleted
	}
	return err
}

// ExamineDelegation checks everything in DNS that the CAs will check for the name, now.
func (s *Service) ExamineDelegation(
	ctx context.Context, g *controlplane.Delegation,
) (controlplane.Examination, error) {
	return s.examineDelegation(ctx, g, s.Issuer.Identities(ctx))
}

func (s *Service) examineDelegation(
	ctx context.Context, g *controlplane.Delegation, cas []controlplane.CAIdentity,
) (controlplane.Examination, error) {
	seen, err := s.Doctor.ExamineNames(ctx, []controlplane.NameCheck{{Name: g.Name,
		Target: s.RecordOf(g).Target, Plain: true}}, cas)
	if err != nil {
		return controlplane.Examination{}, err
	}
	return seen[0], nil
}

// checkDelegation checks a delegation. The job of a pinned one is deferred to its next check.
func (w *work) checkDelegation(ctx context.Context) error {
	j := w.claim.Job
	g, err := w.Store.Delegation(ctx, j.OrgID, j.DelegationID, nil)
	if err != nil {
		return lostWithIt(err)
	}
	if w.served(g) {
		return w.endDelegationCheck(ctx, false, w.concludeServed)
	}
	var cas []controlplane.CAIdentity
	if g.Domains > 0 { // the check serves them, too
		cas = w.Issuer.Identities(ctx)
	}
	seen, err := w.examineDelegation(ctx, g, cas)
	if err != nil {
		return err
	}
	var known map[string]controlplane.DefaultRecord
	if !seen.Delegation.OK() && !seen.Delegation.Transient() && g.Domains == 0 {
		if known, err = w.readDefaults(ctx, g.OrgID, []string{g.Name},
			g.LastCheckedAt); err != nil {
			return err
		}
	}
	return w.endDelegationCheck(ctx, !seen.OK() && !seen.Transient(),
		func(g *controlplane.Delegation, now time.Time) postgres.Outcome {
			o := w.concludeDelegation(g, seen.Delegation, now)
			showDefault(g, known)
			if !seen.Delegation.Transient() {
				g.Ready = seen.Readiness(g.ID, controlplane.FingerprintCAs(cas))
			}
			return o
		})
}

// endDelegationCheck ends the run with the outcome that conclude returns for the locked delegation.
// If that broke or was fixed, the rehearsals of the domains that use it become due. failed says
// that no CA would issue.
func (w *work) endDelegationCheck(
	ctx context.Context, failed bool,
	conclude func(*controlplane.Delegation, time.Time) postgres.Outcome,
) error {
	j := w.claim.Job
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		g, err := t.LockDelegation(ctx, j.OrgID, j.DelegationID)
		if err != nil {
			return lostWithIt(err)
		}
		before, ready := g.State, g.Ready != nil
		if err := t.EndRun(ctx, w.claim, conclude(g, now), now); err != nil {
			return err
		}
		if err := t.SaveDelegation(ctx, g, now); err != nil {
			return err
		}
		verified, broken := controlplane.DelegationVerified, controlplane.DelegationBroken
		broke := before == verified && g.State == broken || ready && failed
		if g.Domains > 0 && (broke || before == broken && g.State == verified) {
			return t.WakeUsers(ctx, g, broke, now)
		}
		return nil
	})
}

// served reports whether nobody waits for the check of a pinned delegation, and a domain's check
// gave the result.
func (w *work) served(g *controlplane.Delegation) bool {
	return g.Pinned && w.claim.Job.Queue != controlplane.QueueCritical && g.Ready != nil &&
		g.Ready.By != g.ID && !g.LastCheckedAt.Before(g.CheckSince) &&
		w.now().Sub(*g.LastCheckedAt) < delegationDaily*9/10
}

// concludeServed leaves the result of a domain's check. If it changed, the delegation is checked.
func (w *work) concludeServed(g *controlplane.Delegation, now time.Time) postgres.Outcome {
	pause := dailyPause(w.Rand())
	if !w.served(g) {
		pause = busyPause
	}
	g.NextCheckAt = nil
	if !g.Pinned {
		return postgres.Completed(map[string]any{"delegated": true})
	}
	next := now.Add(pause).Truncate(time.Microsecond)
	g.NextCheckAt = &next
	return postgres.Deferred(next, "")
}

func dailyPause(random float64) time.Duration {
	return time.Duration(float64(delegationDaily) * (0.9 + 0.1*random))
}

// lostWithIt returns ErrClaimLost if the delegation was deleted, with its job.
func lostWithIt(err error) error {
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return postgres.ErrClaimLost
	}
	return err
}

// concludeDelegation applies the result of a check to the delegation, and returns the outcome of
// the job. A check without a result changes only the time of the next one.
func (w *work) concludeDelegation(
	g *controlplane.Delegation, found controlplane.Diagnosis, now time.Time,
) postgres.Outcome {
	waits, reason := 0, found.Code
	var pause time.Duration
	switch state := found.State(); state {
	case "":
		waits = w.claim.Job.Waits + 1
		pause = w.Backoff.Pause(waits, w.Rand())
	case controlplane.DelegationVerified:
		g.State, g.CheckAttempts, reason = state, 0, ""
		pause = dailyPause(w.Rand())
	default:
		if g.State == controlplane.DelegationVerified {
			g.CheckSince, g.CheckAttempts = now, 0
		}
		g.State = state
		g.CheckAttempts++
		pause = controlplane.NextCheck(g.CheckAttempts, w.Rand())
	}
	g.NextCheckAt = nil
	if !found.Transient() {
		found.Evidence = nil
		g.LastCheckedAt, g.Diagnosis = &now, &found
	}
	if !g.Pinned {
		return postgres.Completed(map[string]any{"delegated": found.OK(), "code": found.Code})
	}
	next := now.Add(pause).Truncate(time.Microsecond)
	if g.State == controlplane.DelegationBroken && !found.Transient() &&
		next.After(g.CheckSince.Add(controlplane.CheckFor)) {
		return postgres.Abandoned(controlplane.ReasonDelegationTimeout,
			"The CNAME was not found within 30 days. "+found.Summary)
	}
	g.NextCheckAt = &next
	return postgres.DeferredBy(next, reason, waits, nil)
}

// failDelegationCheck counts an internal failure. After the last one, the job is dead-lettered, and
// another check of a pinned delegation follows in a day.
func (w *work) failDelegationCheck(ctx context.Context, cause error) error {
	j := w.claim.Job
	var g *controlplane.Delegation
	return w.failAlone(ctx, cause, ownFailure{about: "delegation_id", id: j.DelegationID,
		hold: func(t *postgres.Tx) (err error) {
			g, err = t.LockDelegation(ctx, j.OrgID, j.DelegationID)
			return err
		},
		onDead: func(t *postgres.Tx, now time.Time) error {
			g.NextCheckAt = nil
			if g.Pinned {
				again := delegationJob(g, "", now)
				again.Queue, again.Reason = controlplane.QueueDefault, controlplane.ReasonFollowUp
				again.RunAt = now.Add(delegationDaily)
				if _, _, err := t.AddDelegationCheck(ctx, again); err != nil {
					return err
				}
				g.NextCheckAt = &again.RunAt
			}
			return t.SaveDelegation(ctx, g, now)
		}})
}
