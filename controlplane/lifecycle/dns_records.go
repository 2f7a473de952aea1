package lifecycle

import (
	"context"
	"errors"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// applyTurn is how long a run creates records. Then the jobs of others have their turn.
const applyTurn = time.Minute

// applyRecords creates the records that wait for the connection, and then removes those whose
// delegations have ended, one after the other. What a host answers about one record ends that
// record. Other errors of the host end the run.
func (w *work) applyRecords(ctx context.Context) error {
	j := w.claim.Job
	c, err := w.Store.Connection(ctx, j.OrgID, j.ConnectionID)
	if err != nil {
		return lostWithIt(err)
	}
	access, err := w.accessOf(c)
	if err != nil {
		return err
	}
	started := w.now()
	var zones []string // read when a record needs them
	for done := false; !done; {
		if w.now().Sub(started) > applyTurn {
			return w.handBack(ctx)
		}
		r, err := nextRecord(ctx, w.Store.PendingRecord, w.Store.RemovableRecord, c)
		switch {
		case err == nil && r == nil:
			done, err = w.finishApply(ctx)
		case err == nil && r.State == controlplane.RecordPending && r.Zone == "":
			if zones == nil {
				zones, err = w.DNSHosts.Zones(ctx, access)
			}
			if err == nil {
				err = w.chooseZone(ctx, r, zones)
			}
		case err == nil && r.State == controlplane.RecordPending:
			err = w.createRecord(ctx, access, r)
		case err == nil:
			err = w.removeRecord(ctx, access, r)
		}
		if e, ok := errors.AsType[*controlplane.HostError](err); ok && ctx.Err() == nil {
			return w.stopApply(ctx, c, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// nextRecord returns the first record that one of the queries finds, nil if none finds one.
func nextRecord(
	ctx context.Context, pending, removable func(
		context.Context, string, string) (*controlplane.HostedRecord, error),
	c *controlplane.Connection,
) (*controlplane.HostedRecord, error) {
	r, err := pending(ctx, c.OrgID, c.ID)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		r, err = removable(ctx, c.OrgID, c.ID)
	}
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return nil, nil //nolint:nilnil // none is not an error
	}
	return r, err
}

// chooseZone stores the zone of an automatic record, or that the connection has none for it.
func (w *work) chooseZone(
	ctx context.Context, r *controlplane.HostedRecord, zones []string,
) error {
	zone := controlplane.ZoneOf(r.Name, zones)
	if zone != "" {
		_, err := w.Store.ChooseZone(ctx, r, zone)
		return err
	}
	dropped, err := w.Store.DropRecord(ctx, r, false)
	if err != nil || dropped {
		return err // nothing needs it
	}
	return w.endRecord(ctx, r, &controlplane.HostError{Kind: controlplane.HostNoZone,
		Message: "The connection has no zone that contains " + r.Name + "."})
}

// createRecord creates a record. If an earlier attempt may have reached the host, it looks first
// whether the record is there.
func (w *work) createRecord(
	ctx context.Context, access controlplane.HostAccess, r *controlplane.HostedRecord,
) error {
	tried := r.Attempted
	if tried {
		found, err := w.DNSHosts.Records(ctx, access, r.Zone, r.Name)
		if err != nil {
			return w.endRecord(ctx, r, err)
		}
		if isRecord(found, r) {
			return w.recordCreated(ctx, r)
		}
	}
	dropped, err := w.Store.DropRecord(ctx, r, tried)
	if err != nil || dropped {
		return err // nothing needs it
	}
	ok, err := w.Store.AttemptRecord(ctx, w.claim, r, w.now())
	if err != nil || !ok {
		return err // the request has changed
	}
	r.ID, err = w.DNSHosts.Create(ctx, access, r.HostRecord, r.Replaces)
	e, conflict := errors.AsType[*controlplane.HostError](err)
	switch {
	case err == nil:
		return w.recordCreated(ctx, r)
	case conflict && e.Kind == controlplane.HostConflict && isRecord(e.Found, r):
		if tried {
			return w.recordCreated(ctx, r)
		}
		r.State = controlplane.RecordPresent
		return w.concludeRecord(ctx, r, nil)
	}
	return w.endRecord(ctx, r, err)
}

func isRecord(found []controlplane.RecordSet, r *controlplane.HostedRecord) bool {
	return len(found) == 1 && found[0].Is(r.Value)
}

// recordCreated stores that the record exists. Before, it starts the checks of what waits for it,
// so that a worker that is killed in between starts them again.
func (w *work) recordCreated(ctx context.Context, r *controlplane.HostedRecord) error {
	_, _, err := w.RequestDelegationCheck(ctx, w.actor(), r.OrgID, r.DelegationID, nil)
	if err != nil && !controlplane.IsKind(err, controlplane.KindNotFound) {
		return err
	}
	r.State = controlplane.RecordCreated
	entry := w.auditRecord(w.actor(), controlplane.ActionRecordCreated, r, w.now(),
		map[string]any{})
	entry.Before = map[string]any{"records": r.Replaces}
	entry.After = map[string]any{"records": []controlplane.RecordSet{{Name: r.Name, Type: "CNAME",
		Values: []string{r.Value + "."}}}}
	return w.concludeRecord(ctx, r, &entry)
}

// endRecord stores that the record can't be created, if err says so. Otherwise it returns err.
func (w *work) endRecord(
	ctx context.Context, r *controlplane.HostedRecord, err error,
) error {
	e, ok := errors.AsType[*controlplane.HostError](err)
	if !ok || e.Kind == controlplane.HostUnreachable || e.Kind == controlplane.HostInvalid {
		return err
	}
	r.State = controlplane.RecordFailed
	r.Reason, r.Detail = controlplane.RecordReason(e.Kind), storable(e.Message)
	entry := w.auditRecord(w.actor(), controlplane.ActionRecordFailed, r, w.now(),
		map[string]any{"name": r.Name, "code": r.Reason, "detail": r.Detail})
	if err := w.concludeRecord(ctx, r, &entry); err != nil || !r.Automatic {
		return err
	}
	return w.showFailed(ctx, r)
}

// showFailed makes the checks due of the domains that wait for a record that could not be created,
// or of the delegation without one, so that they show why. If that is lost, the next checks show
// it.
func (w *work) showFailed(ctx context.Context, r *controlplane.HostedRecord) error {
	g, err := w.Store.Delegation(ctx, r.OrgID, r.DelegationID, nil)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if g.Pinned && g.Domains == 0 {
		j, err := w.Store.OpenDelegationCheck(ctx, r.OrgID, g.ID)
		if err == nil {
			_, _, err = w.Store.ExpediteJob(ctx, r.OrgID, j.ID, w.now())
		}
		if err != nil && !controlplane.IsKind(err, controlplane.KindNotFound) {
			return err
		}
	}
	for _, id := range g.DomainIDs {
		j, err := w.Store.OpenJob(ctx, r.OrgID, id, controlplane.JobDNSCheck.Slot())
		if err == nil && j.Queue != controlplane.QueueBulk {
			_, _, err = w.Store.ExpediteJob(ctx, r.OrgID, j.ID, w.now())
		}
		if err != nil && !controlplane.IsKind(err, controlplane.KindNotFound) {
			return err
		}
	}
	return nil
}

func (w *work) concludeRecord(
	ctx context.Context, r *controlplane.HostedRecord, entry *controlplane.AuditEntry,
) error {
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		if _, err := t.HoldConnectionJob(ctx, w.claim); err != nil {
			return err
		}
		ok, err := t.ConcludeRecord(ctx, r, now)
		if err != nil || !ok {
			return err
		}
		if r.State == controlplane.RecordCreated {
			if err := t.UseConnection(ctx, r.OrgID, r.ConnectionID, now); err != nil {
				return err
			}
		}
		if entry == nil {
			return nil
		}
		return t.Audit(ctx, *entry)
	})
}

// finishApply completes the job. It returns false if records were requested, or delegations ended,
// meanwhile.
func (w *work) finishApply(ctx context.Context) (done bool, err error) {
	j := w.claim.Job
	err = w.Store.InTx(ctx, func(t *postgres.Tx) error {
		c, err := t.HoldConnectionJob(ctx, w.claim)
		if err != nil {
			return err
		}
		r, err := nextRecord(ctx, t.PendingRecord, t.RemovableRecord, c)
		if done = err == nil && r == nil; !done {
			return err
		}
		found, err := t.RecordResults(ctx, j)
		if err != nil {
			return err
		}
		failed := make([]map[string]any, len(found.Failed))
		for i, r := range found.Failed {
			failed[i] = map[string]any{"name": r.Name, "code": r.Reason, "detail": r.Detail}
		}
		return t.EndRun(ctx, w.claim, postgres.Completed(map[string]any{
			"created": found.Created, "present": found.Present, "failed": failed,
			"removed": found.Removed, "left": found.Left}), w.now())
	})
	return done, err
}

// stopApply ends a run because of the host. The job waits for one that does not respond. If the
// host rejects the credentials, the job ends, the connection is invalid, and the records wait for
// other credentials.
func (w *work) stopApply(
	ctx context.Context, used *controlplane.Connection, e *controlplane.HostError,
) error {
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		c, err := t.HoldConnectionJob(ctx, w.claim)
		if err != nil {
			return err
		}
		waits := w.claim.Job.Waits + 1
		if e.Kind == controlplane.HostUnreachable {
			at := now.Add(w.Backoff.Pause(waits, w.Rand())).Truncate(time.Microsecond)
			return t.EndRun(ctx, w.claim, postgres.DeferredBy(at, controlplane.CodeHostUnreachable,
				waits, nil), now)
		}
		if !w.sameCredentials(c, used) { // other credentials have replaced them
			return w.handBackIn(ctx, t, now)
		}
		before := c.Status
		if err := w.showTest(c, e); err != nil {
			return err
		}
		if err := t.SaveConnection(ctx, c); err != nil {
			return err
		}
		if err := t.EndRun(ctx, w.claim, postgres.Abandoned(controlplane.CodeConnectionInvalid,
			storable(e.Message)), now); err != nil || c.Status == before {
			return err
		}
		entry := w.auditConnection(w.actor(), controlplane.ActionConnectionFailed, c, now)
		entry.Details = map[string]any{"name": c.Name, "status": string(c.Status),
			"previous_status": string(before), "detail": c.StatusDetail}
		return t.Audit(ctx, entry)
	})
}

// failApply counts an internal failure. After the last one, the job is dead-lettered, and the
// records wait for the next request.
func (w *work) failApply(ctx context.Context, cause error) error {
	return w.failAlone(ctx, cause, ownFailure{about: "connection_id",
		id: w.claim.Job.ConnectionID,
		hold: func(t *postgres.Tx) error {
			_, err := t.HoldConnectionJob(ctx, w.claim)
			return err
		}})
}
