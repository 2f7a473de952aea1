package lifecycle

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// PinDelegation adds a pinned delegation of a name, or pins the one that domains use, with the
// connection through which its record is created, unless that is empty. It returns whether it added
// one. If a pinned one exists, with the connection, it changes nothing. It returns KindInvalid for
// an invalid field, and KindForbidden if the plan's limit is reached.
func (s *Service) PinDelegation(
	ctx context.Context, actor controlplane.Actor, orgID, name, connection string,
) (g *controlplane.Delegation, added bool, err error) {
	problem := &controlplane.Error{}
	name, err = s.parseName(name)
	if err != nil {
		e := controlplane.AsError(err)
		problem.Fields, problem.Fix = e.Fields, e.Fix
	}
	if err := knownConnection(ctx, s.Store, orgID, connection, problem); err != nil {
		return nil, false, err
	}
	if err := invalid(problem); err != nil {
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
				pinned, change := true, DelegationPatch{}
				if change.Pinned = &pinned; connection != "" {
					change.ConnectionID = &connection
				}
				return s.changeDelegation(ctx, t, actor, g, change, now)
			case !controlplane.IsKind(err, controlplane.KindNotFound):
				return err
			}
			added = true
			at := now
			if connection != "" {
				at = now.Add(applyTime) // the record is created first
			}
			g = &controlplane.Delegation{
				ID: controlplane.NewID(controlplane.PrefixDelegation), OrgID: orgID, Name: name,
				Target: controlplane.Target(s.TargetKey, orgID, name), Pinned: true,
				ConnectionID: connection,
				State:        controlplane.DelegationUnchecked, CheckSince: now, Version: 1,
				NextCheckAt: &at, CreatedAt: now, UpdatedAt: now}
			if err := t.AddDelegation(ctx, g); err != nil {
				return err
			}
			check := delegationJob(g, actor.RequestID, now)
			check.RunAt = at
			if _, _, err := t.AddDelegationCheck(ctx, check); err != nil {
				return err
			}
			entry := s.audit(orgID, actor, controlplane.ActionDelegationCreated, "delegation",
				g.ID, now)
			entry.After = describeDelegation(g)
			if err := t.Audit(ctx, entry); err != nil {
				return err
			}
			_, err = s.requestDefaults(ctx, t, actor, orgID, []string{name}, now)
			return err
		})
	})
	if err != nil {
		return nil, false, err
	}
	return g, added, nil
}

// DelegationPatch changes a delegation. nil keeps a field.
type DelegationPatch struct {
	Pinned       *bool
	ConnectionID *string // "" leaves it to the domains that use the delegation
}

// UpdateDelegation pins or unpins a delegation, and sets its connection. One that no domain uses
// would end if it were unpinned, and one whose target acme-dns accounts use must stay, so that it
// returns KindConflict for them. It returns KindInvalid if the organization has no such connection,
// and KindPrecondition if ifVersion is neither 0 nor the delegation's version.
func (s *Service) UpdateDelegation(
	ctx context.Context, actor controlplane.Actor, orgID, ref string, ifVersion int64,
	p DelegationPatch,
) (*controlplane.Delegation, error) {
	var g *controlplane.Delegation
	err := s.withDelegation(ctx, orgID, ref, ifVersion, func(
		t *postgres.Tx, locked *controlplane.Delegation, now time.Time,
	) error {
		g = locked
		return s.changeDelegation(ctx, t, actor, g, p, now)
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// changeDelegation is UpdateDelegation for a locked delegation.
func (s *Service) changeDelegation(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, g *controlplane.Delegation,
	p DelegationPatch, now time.Time,
) error {
	before, old := describeDelegation(g), *g
	set(&g.Pinned, p.Pinned)
	set(&g.ConnectionID, p.ConnectionID)
	if g.ConnectionID != old.ConnectionID {
		problem := &controlplane.Error{}
		err := knownConnection(ctx, t, g.OrgID, g.ConnectionID, problem)
		if err == nil {
			err = invalid(problem)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case g.Pinned == old.Pinned:
	case g.Pinned:
		if err := s.pin(ctx, t, actor, g, now); err != nil {
			return err
		}
	case g.Domains == 0:
		return &controlplane.Error{Kind: controlplane.KindConflict, Code: "delegation-unused",
			ExistingID: g.ID,
			Message:    "No domain uses the delegation of " + g.Name + ".",
			Fix:        "Delete it with DELETE /api/delegations/" + g.ID + "."}
	default:
		if err := unpin(ctx, t, g); err != nil {
			return err
		}
	}
	if g.Pinned == old.Pinned && g.ConnectionID == old.ConnectionID {
		return nil
	}
	if err := t.SaveDelegation(ctx, g, now); err != nil {
		return err
	}
	entry := s.audit(g.OrgID, actor, controlplane.ActionDelegationUpdated, "delegation", g.ID, now)
	entry.Before, entry.After = before, describeDelegation(g)
	if err := t.Audit(ctx, entry); err != nil || g.ConnectionID == old.ConnectionID {
		return err
	}
	_, err := s.requestDefaults(ctx, t, actor, g.OrgID, []string{g.Name}, now)
	return err
}

// DeleteDelegation deletes a delegation that nothing uses. Its target no longer resolves. It
// returns KindConflict with the domains or acme-dns accounts that use it, and KindPrecondition if
// ifVersion is neither 0 nor the delegation's version.
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
// last use. It returns KindConflict if acme-dns accounts use it.
func (s *Service) ReleaseDelegation(
	ctx context.Context, actor controlplane.Actor, orgID, ref string,
) error {
	err := s.withDelegation(ctx, orgID, ref, 0, func(
		t *postgres.Tx, g *controlplane.Delegation, now time.Time,
	) error {
		if g.Domains > 0 {
			pinned := false
			return s.changeDelegation(ctx, t, actor, g, DelegationPatch{Pinned: &pinned}, now)
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

// pin starts the checks of a delegation that is pinned now. The caller saves it.
func (s *Service) pin(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, g *controlplane.Delegation,
	now time.Time,
) error {
	g.CheckSince, g.CheckAttempts, g.NextCheckAt = now, 0, &now
	job, added, err := t.AddDelegationCheck(ctx, delegationJob(g, actor.RequestID, now))
	if err == nil && !added {
		_, _, err = t.ExpediteJob(ctx, g.OrgID, job.ID, now)
	}
	return err
}

// unpin ends the checks of a delegation that is no longer pinned. The caller saves it.
func unpin(ctx context.Context, t *postgres.Tx, g *controlplane.Delegation) error {
	if err := accountsUse(ctx, t, g); err != nil {
		return err
	}
	g.NextCheckAt = nil
	return t.DropDelegationCheck(ctx, g.OrgID, g.ID)
}

func (s *Service) endDelegation(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, g *controlplane.Delegation,
	now time.Time,
) error {
	if err := accountsUse(ctx, t, g); err != nil {
		return err
	}
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
	m := map[string]any{"name": g.Name, "pinned": g.Pinned}
	if g.ConnectionID != "" {
		m["connection_id"] = g.ConnectionID
	}
	return m
}

// RecordOf returns a delegation's CNAME.
func (s *Service) RecordOf(g *controlplane.Delegation) controlplane.Record {
	return controlplane.NewRecord(g.Name, g.Target, s.Zone)
}
