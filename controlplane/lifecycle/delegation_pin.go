package lifecycle

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// PinDelegation adds a pinned delegation of a name, or pins the one that domains use. It returns
// whether it added one. If a pinned one exists, it changes nothing. It returns KindInvalid for an
// invalid name, and KindForbidden if the plan's limit is reached.
func (s *Service) PinDelegation(
	ctx context.Context, actor controlplane.Actor, orgID, name string,
) (g *controlplane.Delegation, added bool, err error) {
	name, err = s.parseName(name)
	if err != nil {
		return nil, false, err
	}
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		added = false
		return withinDelegations(ctx, t, orgID, func() error {
			var err error
			g, err = t.LockDelegation(ctx, orgID, name)
			switch {
			case err == nil:
				return s.pin(ctx, t, actor, g, now)
			case !controlplane.IsKind(err, controlplane.KindNotFound):
				return err
			}
			added = true
			g = &controlplane.Delegation{
				ID: controlplane.NewID(controlplane.PrefixDelegation), OrgID: orgID, Name: name,
				Target: controlplane.Target(s.TargetKey, orgID, name), Pinned: true,
				State: controlplane.DelegationUnchecked, CheckSince: now, Version: 1,
				NextCheckAt: &now, CreatedAt: now, UpdatedAt: now}
			if err := t.AddDelegation(ctx, g); err != nil {
				return err
			}
			if _, _, err := t.AddDelegationCheck(ctx,
				delegationJob(g, actor.RequestID, now)); err != nil {
				return err
			}
			entry := s.audit(orgID, actor, controlplane.ActionDelegationCreated, "delegation",
				g.ID, now)
			entry.After = describeDelegation(g)
			return t.Audit(ctx, entry)
		})
	})
	if err != nil {
		return nil, false, err
	}
	return g, added, nil
}

// UpdateDelegation pins or unpins a delegation. One that no domain uses would end, so that it
// returns KindConflict for it. It returns KindPrecondition if ifVersion is neither 0 nor the
// delegation's version.
func (s *Service) UpdateDelegation(
	ctx context.Context, actor controlplane.Actor, orgID, ref string, ifVersion int64, pinned *bool,
) (*controlplane.Delegation, error) {
	var g *controlplane.Delegation
	err := s.withDelegation(ctx, orgID, ref, ifVersion, func(
		t *postgres.Tx, locked *controlplane.Delegation, now time.Time,
	) error {
		g = locked
		switch {
		case pinned == nil:
			return nil
		case *pinned:
			return s.pin(ctx, t, actor, g, now)
		case g.Pinned && g.Domains == 0:
			return &controlplane.Error{Kind: controlplane.KindConflict, Code: "delegation-unused",
				ExistingID: g.ID,
				Message:    "No domain uses the delegation of " + g.Name + ".",
				Fix:        "Delete it with DELETE /api/delegations/" + g.ID + "."}
		}
		return s.unpin(ctx, t, actor, g, now)
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// DeleteDelegation deletes a delegation that no domain uses. Its target no longer resolves. It
// returns KindConflict with the domains that use it, and KindPrecondition if ifVersion is neither 0
// nor the delegation's version.
func (s *Service) DeleteDelegation(
	ctx context.Context, actor controlplane.Actor, orgID, ref string, ifVersion int64,
) error {
	err := s.withDelegation(ctx, orgID, ref, ifVersion, func(
		t *postgres.Tx, g *controlplane.Delegation, now time.Time,
	) error {
		if g.Domains > 0 {
			return delegationInUse(ctx, t, g)
		}
		return s.endDelegation(ctx, t, actor, g, now)
	})
	return s.thenRemove(ctx, orgID, err)
}

// ReleaseDelegation unpins a delegation: it ends now if no domain uses it, and otherwise with its
// last use.
func (s *Service) ReleaseDelegation(
	ctx context.Context, actor controlplane.Actor, orgID, ref string,
) error {
	err := s.withDelegation(ctx, orgID, ref, 0, func(
		t *postgres.Tx, g *controlplane.Delegation, now time.Time,
	) error {
		if g.Domains > 0 {
			return s.unpin(ctx, t, actor, g, now)
		}
		return s.endDelegation(ctx, t, actor, g, now)
	})
	return s.thenRemove(ctx, orgID, err)
}

// withDelegation runs a change of a delegation, with it and its uses locked.
func (s *Service) withDelegation(
	ctx context.Context, orgID, ref string, ifVersion int64,
	change func(t *postgres.Tx, g *controlplane.Delegation, now time.Time) error,
) error {
	return s.Store.InTx(ctx, func(t *postgres.Tx) error {
		if _, err := t.LockOrganization(ctx, orgID); err != nil {
			return err
		}
		g, err := t.LockDelegation(ctx, orgID, ref)
		if err != nil {
			return err
		}
		if ifVersion != 0 && ifVersion != g.Version {
			return &controlplane.Error{Kind: controlplane.KindPrecondition,
				Code:    "precondition-failed",
				Message: "The delegation changed after it was read.",
				Fix:     "Fetch the delegation again and send its new ETag in If-Match."}
		}
		return change(t, g, s.now())
	})
}

func (s *Service) pin(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, g *controlplane.Delegation,
	now time.Time,
) error {
	if g.Pinned {
		return nil
	}
	before := describeDelegation(g)
	g.Pinned, g.CheckSince, g.CheckAttempts, g.NextCheckAt = true, now, 0, &now
	job, added, err := t.AddDelegationCheck(ctx, delegationJob(g, actor.RequestID, now))
	if err == nil && !added {
		_, _, err = t.ExpediteJob(ctx, g.OrgID, job.ID, now)
	}
	if err != nil {
		return err
	}
	return s.savePinned(ctx, t, actor, g, before, now)
}

func (s *Service) unpin(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, g *controlplane.Delegation,
	now time.Time,
) error {
	if !g.Pinned {
		return nil
	}
	before := describeDelegation(g)
	g.Pinned, g.NextCheckAt = false, nil
	if err := t.DropDelegationCheck(ctx, g.OrgID, g.ID); err != nil {
		return err
	}
	return s.savePinned(ctx, t, actor, g, before, now)
}

func (s *Service) savePinned(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, g *controlplane.Delegation,
	before map[string]any, now time.Time,
) error {
	if err := t.SaveDelegation(ctx, g, now); err != nil {
		return err
	}
	entry := s.audit(g.OrgID, actor, controlplane.ActionDelegationUpdated, "delegation", g.ID, now)
	entry.Before, entry.After = before, describeDelegation(g)
	return t.Audit(ctx, entry)
}

func (s *Service) endDelegation(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, g *controlplane.Delegation,
	now time.Time,
) error {
	if err := t.DeleteDelegation(ctx, g.OrgID, g.ID); err != nil {
		return err
	}
	entry := s.audit(g.OrgID, actor, controlplane.ActionDelegationDeleted, "delegation", g.ID, now)
	entry.Before = describeDelegation(g)
	return t.Audit(ctx, entry)
}

// usersShown is how many domains the message about a delegation in use names.
const usersShown = 10

// delegationInUse returns the error of the deletion of a delegation that domains use.
func delegationInUse(ctx context.Context, t *postgres.Tx, g *controlplane.Delegation) error {
	ids := g.DomainIDs[:min(len(g.DomainIDs), usersShown)]
	names, err := t.DelegationUsers(ctx, g.OrgID, ids)
	if err != nil {
		return err
	}
	users := make([]string, len(ids))
	for i, id := range ids {
		users[i] = names[id] + " (" + id + ")"
	}
	list := strings.Join(users, ", ")
	if more := g.Domains - len(ids); more > 0 {
		list += fmt.Sprintf(", and %d more", more)
	}
	return &controlplane.Error{Kind: controlplane.KindConflict, Code: "delegation-in-use",
		ExistingID: ids[0],
		Message:    "Domains use the delegation of " + g.Name + ": " + list + ".",
		Fix: "Delete these domains, or remove the name from them, first. To have the delegation " +
			"end with its last use, set pinned to false."}
}

// describeDelegation returns the fields of a delegation for the audit log.
func describeDelegation(g *controlplane.Delegation) map[string]any {
	return map[string]any{"name": g.Name, "pinned": g.Pinned}
}

// RecordOf returns a delegation's CNAME.
func (s *Service) RecordOf(g *controlplane.Delegation) controlplane.Record {
	return controlplane.NewRecord(g.Name, g.Target, s.Zone)
}
