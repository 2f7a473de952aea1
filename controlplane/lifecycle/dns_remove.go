package lifecycle

import (
	"context"
	"errors"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// removeRecord removes a record whose delegation has ended, unless its name has the same delegation
// again. The host removes it only if it is as it was created. If an earlier attempt may have
// reached the host, it looks first whether the record is there.
func (w *work) removeRecord(
	ctx context.Context, access controlplane.HostAccess, r *controlplane.HostedRecord,
) error {
	tried := r.State == controlplane.RecordRemoving && r.Attempted
	ok, err := w.attemptRemoval(ctx, r)
	if err != nil || !ok {
		return err // it serves a delegation, or the row has changed
	}
	before := recordSetOf(r)
	if tried {
		found, err := w.DNSHosts.Records(ctx, access, r.Zone, r.Name)
		if err != nil {
			return w.endRemoval(ctx, r, err)
		}
		if !isRecord(found, r) {
			return w.recordRemoved(ctx, r, before, found)
		}
	}
	err = w.DNSHosts.Remove(ctx, access, r.HostRecord)
	e, ok := errors.AsType[*controlplane.HostError](err)
	switch {
	case err == nil:
		return w.recordRemoved(ctx, r, before, nil)
	case ok && e.Kind == controlplane.HostChanged && len(e.Found) == 0: // it is gone already
		return w.recordRemoved(ctx, r, nil, nil)
	}
	return w.endRemoval(ctx, r, err)
}

func recordSetOf(r *controlplane.HostedRecord) []controlplane.RecordSet {
	return []controlplane.RecordSet{{Name: r.Name, Type: "CNAME", Values: []string{r.Value + "."}}}
}

// attemptRemoval stores that the removal is sent to the host. It returns false if the record's name
// has the same delegation again, which the record then serves, or if the row has changed.
func (w *work) attemptRemoval(
	ctx context.Context, r *controlplane.HostedRecord,
) (attempted bool, err error) {
	err = w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		if _, err := t.HoldConnectionJob(ctx, w.claim); err != nil {
			return err
		}
		lasting, err := t.LastingDelegations(ctx, r.OrgID, []string{r.Name})
		if err != nil {
			return err
		}
		if l, ok := lasting[r.Name]; ok && w.serves(r, l) {
			_, err = t.ResetRecords(ctx, r.OrgID, lasting, now)
		} else {
			attempted, err = t.AttemptRemoval(ctx, r, now)
		}
		return err
	})
	return attempted, err
}

// serves reports whether a record is that of a delegation.
func (s *Service) serves(r *controlplane.HostedRecord, l postgres.Lasting) bool {
	return recordSetOf(r)[0].Is(s.recordAt(l).Target)
}

func (s *Service) recordAt(l postgres.Lasting) controlplane.Record {
	return controlplane.NewRecord(l.Name[len("_acme-challenge."):], l.Target, s.Zone)
}

// recordRemoved stores that the record no longer exists.
func (w *work) recordRemoved(
	ctx context.Context, r *controlplane.HostedRecord, before, after []controlplane.RecordSet,
) error {
	entry := w.auditRecord(w.actor(), controlplane.ActionRecordRemoved, r, w.now(),
		map[string]any{"name": r.Name})
	entry.Before = map[string]any{"records": sets(before)}
	entry.After = map[string]any{"records": sets(after)}
	return w.forgetRecord(ctx, r, entry)
}

// sets returns a list that is [] in JSON if it is empty.
func sets(s []controlplane.RecordSet) []controlplane.RecordSet {
	return append([]controlplane.RecordSet{}, s...)
}

// endRemoval stores that the record stays at the host, if err says so. Otherwise it returns err.
func (w *work) endRemoval(ctx context.Context, r *controlplane.HostedRecord, err error) error {
	e, ok := errors.AsType[*controlplane.HostError](err)
	if !ok || e.Kind == controlplane.HostUnreachable || e.Kind == controlplane.HostInvalid {
		return err
	}
	reason := controlplane.LeftDenied
	if e.Kind == controlplane.HostChanged {
		reason = controlplane.LeftChanged
	}
	entry := w.auditLeft(w.actor(), r, reason, storable(e.Message), w.now())
	if reason == controlplane.LeftChanged {
		entry.Details["records"] = sets(e.Found)
	}
	return w.forgetRecord(ctx, r, entry)
}

// forgetRecord ends the removal of a record. If its name has a delegation again, it requests the
// record of that, unless the name has other records.
func (w *work) forgetRecord(
	ctx context.Context, r *controlplane.HostedRecord, entry controlplane.AuditEntry,
) error {
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := w.now()
		if _, err := t.HoldConnectionJob(ctx, w.claim); err != nil {
			return err
		}
		lasting, err := t.LastingDelegations(ctx, r.OrgID, []string{r.Name})
		if err != nil {
			return err
		}
		if ok, err := t.ForgetRecord(ctx, r); err != nil || !ok {
			return err
		}
		if err := t.UseConnection(ctx, r.OrgID, r.ConnectionID, now); err != nil {
			return err
		}
		if err := t.Audit(ctx, entry); err != nil {
			return err
		}
		removed := entry.Action == controlplane.ActionRecordRemoved
		if err := t.CountRemoval(ctx, w.claim.Job, removed); err != nil {
			return err
		}
		l, ok := lasting[r.Name]
		if !ok || !removed {
			return nil
		}
		stored, err := t.RequestRecords(ctx, w.claim.Job, []controlplane.RecordRequest{{
			Name: r.Name, Zone: r.Zone, Value: w.recordAt(l).Target,
			Replaces: []controlplane.RecordSet{}}}, now)
		if err != nil {
			return err
		}
		return w.auditRequests(ctx, t, w.actor(), stored, now)
	})
}
