package lifecycle

import (
	"context"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// untilReleased is the end of an obstacle without one.
var untilReleased = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// unpause forgets that CAs have paused the domain's names, because a person requests its
// certificate: they may have unpaused them at the CA.
func unpause(ctx context.Context, t *postgres.Tx, d *controlplane.Domain) error {
	return t.UnpauseNames(ctx, d.OrgID, controlplane.Identifiers(d.Names()))
}

// retryPaused makes a job due that waits because CAs have paused its names, and forgets the pauses.
// It returns other jobs unchanged.
func (s *Service) retryPaused(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, j *controlplane.Job,
) (*controlplane.Job, bool, error) {
	if j.Status != controlplane.JobQueued || j.Reason != controlplane.ReasonCAPaused {
		return j, false, nil
	}
	d, err := t.LockDomain(ctx, j.OrgID, j.DomainID)
	if err != nil {
		return j, false, err
	}
	if err := unpause(ctx, t, d); err != nil {
		return j, false, err
	}
	now := s.now()
	j, started, err := t.ExpediteJob(ctx, j.OrgID, j.ID, now)
	if err != nil || !started {
		return j, false, err
	}
	entry := s.audit(j.OrgID, actor, controlplane.ActionJobRetried, "job", j.ID, now)
	entry.Details = map[string]any{"domain_id": j.DomainID, "type": string(j.Type)}
	return j, true, t.Audit(ctx, entry)
}

// standings returns why no order of the organization for the names is placed with each account at
// the CA, in words for users, and until when: an operator's hold, a name that the CA has paused, or
// an account that the CA rejects. The end is far in the future if only a person ends it. It omits
// accounts without an obstacle.
func (s *Service) standings(
	ctx context.Context, orgID, ca string, accounts, names []string,
) (map[string]*controlplane.CAObstacle, error) {
	found, err := s.Store.CAStandings(ctx, orgID, ca, accounts, controlplane.Identifiers(names),
		s.now())
	if err != nil {
		return nil, err
	}
	for _, account := range accounts {
		i := slices.IndexFunc(found, func(one controlplane.CAStanding) bool {
			return one.Account == account && one.Suspected
		})
		if key := controlplane.AccountKey(ca, account); i >= 0 {
			s.suspected.Store(key, true)
		} else {
			s.suspected.Delete(key)
		}
	}
	obstacles := map[string]*controlplane.CAObstacle{}
	for _, one := range found {
		if one.Obstacle != nil {
			obstacles[one.Account] = completed(one.Obstacle, ca)
		}
	}
	return obstacles, nil
}

// completed completes the texts and the end of a recorded obstacle.
func completed(o *controlplane.CAObstacle, ca string) *controlplane.CAObstacle {
	if o.Code == controlplane.ReasonCAHeld {
		reason := o.Message
		if o.Message = "The operator has put " + ca + " on hold."; reason != "" {
			o.Message = "The operator has put " + ca + " on hold: " + reason
		}
	}
	if o.Fix == "" {
		o.Fix = controlplane.FixOf(o.Code)
	}
	if o.Until == nil {
		o.Until = &untilReleased
	}
	return o
}

// HoldCA puts a CA, or the account that an AccountRef names, on hold: no new orders are placed
// there until the hold is released or, if it is not nil, until the given time. Open orders,
// revocations, and renewal information continue. It returns KindInvalid for a time that has passed.
func (s *Service) HoldCA(
	ctx context.Context, actor controlplane.Actor, ca, reason string, until *time.Time,
) error {
	now := s.now()
	if until != nil && !until.After(now) {
		return &controlplane.Error{Kind: controlplane.KindInvalid, Code: "invalid-value",
			Message: "The hold would end at " + until.UTC().Format(time.RFC3339) +
				", which has passed.",
			Fix: "State a time in the future."}
	}
	err := s.Store.HoldCA(ctx, controlplane.CAHold{CA: ca, Until: until, Reason: storable(reason),
		By: actor.ID, Since: now})
	if err == nil {
		s.Logger.InfoContext(ctx, "lifecycle: CA put on hold", "ca", ca, "until", until,
			"reason", reason, "by", actor.ID)
	}
	return err
}

// ReleaseCA ends the hold of a CA or of an account. It returns false if it was not on hold. Jobs
// that wait for it become due.
func (s *Service) ReleaseCA(
	ctx context.Context, actor controlplane.Actor, ca string,
) (bool, error) {
	var held bool
	err := s.Store.InTx(ctx, func(t *postgres.Tx) (err error) {
		if held, err = t.ReleaseCA(ctx, ca, s.now()); err != nil {
			return err
		}
		return t.ExpediteHeld(ctx, s.now())
	})
	if err == nil && held {
		s.Logger.InfoContext(ctx, "lifecycle: CA released", "ca", ca, "by", actor.ID)
	}
	return held, err
}
