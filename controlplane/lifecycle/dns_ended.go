package lifecycle

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// removalBatch is how many records one transaction schedules for removal.
const removalBatch = 200

// RemoveRecords starts the removal of the records whose delegations have ended, and returns how
// many it started. The jobs of the connections remove them. If that was not possible within
// RemovalFor, the records stay at the DNS hosts. It returns 0 if another replica is already running
// it.
func (s *Service) RemoveRecords(ctx context.Context) (int, error) {
	n := 0
	_, err := s.Store.TryLocked(ctx, "dcvaas-records", func(ctx context.Context) (err error) {
		n, err = s.removeRecords(ctx, "")
		return err
	})
	return n, err
}

// thenRemove starts the removal of records after an operation that may have ended delegations, and
// returns its error. If that fails, the next sweep does it.
func (s *Service) thenRemove(ctx context.Context, orgID string, err error) error {
	if err != nil {
		return err
	}
	if _, err := s.removeRecords(ctx, orgID); err != nil {
		s.Logger.WarnContext(ctx,
			"lifecycle: starting the removal of DNS records failed; the sweep repeats it",
			"organization", orgID, "error", err)
	}
	return nil
}

// removeRecords is RemoveRecords for one organization or, without an ID, for all. They take turns.
func (s *Service) removeRecords(ctx context.Context, orgID string) (int, error) {
	total := 0
	for {
		due, err := s.Store.DueRemovals(ctx, orgID, s.now())
		if err != nil || len(due) == 0 {
			return total, err
		}
		for _, c := range due {
			n, err := s.removeThrough(ctx, c)
			if err != nil {
				return total, err
			}
			total += n
		}
	}
}

// removeThrough schedules a batch of the due records of a connection, and starts its job.
func (s *Service) removeThrough(
	ctx context.Context, due postgres.DueConnection,
) (started int, err error) {
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		// The organization before several delegations, as in ApplyRecords. A deleted one has none.
		_, err := t.LockOrganization(ctx, due.OrgID)
		if err != nil && !controlplane.IsKind(err, controlplane.KindNotFound) {
			return err
		}
		c, err := t.LockConnection(ctx, due.OrgID, due.ID)
		if controlplane.IsKind(err, controlplane.KindNotFound) {
			return nil // its records are gone with it
		}
		if err != nil {
			return err
		}
		records, lasting, err := t.EndedRecords(ctx, c.OrgID, c.ID, now, removalBatch)
		if err != nil || len(records) == 0 {
			return err
		}
		remove, over, wait := s.sortEnded(records, lasting, now)
		pending, err := t.ResetRecords(ctx, c.OrgID, lasting, now)
		if err != nil {
			return err
		}
		if err := s.leave(ctx, t, controlplane.System("sweep"), over, controlplane.LeftTimeout,
			"It could not be removed in time. "+c.StatusDetail); err != nil {
			return err
		}
		if err := t.ForgetRecords(ctx, c.OrgID, append(remove, namesOf(over)...)); err != nil {
			return err
		}
		if err := t.PostponeRemovals(ctx, c.OrgID, wait, now); err != nil {
			return err
		}
		if started = len(wait); started+pending == 0 ||
			c.Status == controlplane.ConnectionInvalid { // its records wait for other credentials
			return nil
		}
		_, _, err = t.AddConnectionJob(ctx, applyJob(c.OrgID, c.ID, "", now,
			controlplane.QueueDefault))
		return err
	})
	return started, err
}

// sortEnded returns the names of the records that were not created here, the records whose time for
// the removal is over, and the names of the others, which are to be removed. It leaves out records
// that serve one of the delegations, and removes the other delegations from lasting.
func (s *Service) sortEnded(
	records []controlplane.HostedRecord, lasting map[string]postgres.Lasting, now time.Time,
) (none []string, over []controlplane.HostedRecord, wait []string) {
	for i := range records {
		r := &records[i]
		if l, ok := lasting[r.Name]; ok && s.serves(r, l) {
			continue
		}
		delete(lasting, r.Name)
		ended := r.EndedAt != nil && !now.Before(r.EndedAt.Add(controlplane.RemovalFor))
		switch {
		case r.State == controlplane.RecordPresent, r.State == controlplane.RecordFailed,
			r.State == controlplane.RecordPending && !r.Attempted && ended:
			none = append(none, r.Name)
		case ended:
			over = append(over, *r)
		default:
			wait = append(wait, r.Name)
		}
	}
	return none, over, wait
}

func namesOf(records []controlplane.HostedRecord) []string {
	names := make([]string, len(records))
	for i := range records {
		names[i] = records[i].Name
	}
	return names
}

// leave appends the entries of records that stay at the DNS host.
func (s *Service) leave(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor,
	records []controlplane.HostedRecord, reason controlplane.LeftReason, detail string,
) error {
	entries := make([]controlplane.AuditEntry, len(records))
	for i := range records {
		entries[i] = s.auditLeft(actor, &records[i], reason, strings.TrimSpace(detail), s.now())
	}
	return t.Audit(ctx, entries...)
}

// auditLeft returns the entry of a record that stays at the DNS host.
func (s *Service) auditLeft(
	actor controlplane.Actor, r *controlplane.HostedRecord, reason controlplane.LeftReason,
	detail string, now time.Time,
) controlplane.AuditEntry {
	return s.auditRecord(actor, controlplane.ActionRecordLeft, r, now, map[string]any{
		"zone": r.Zone, "name": r.Name, "value": r.Value, "reason": string(reason),
		"detail": detail})
}

// leaveMoved ends what is stored of the requested records in other zones or through other
// connections: there, they stay.
func (s *Service) leaveMoved(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, j *controlplane.Job,
	wanted []controlplane.RecordRequest, now time.Time,
) error {
	names := make([]string, len(wanted))
	for i, w := range wanted {
		names[i] = w.Name
	}
	// The delegations before the records, as everywhere.
	if _, err := t.LastingDelegations(ctx, j.OrgID, names); err != nil {
		return err
	}
	moved, err := t.MovedRecords(ctx, j.OrgID, j.ConnectionID, wanted)
	if err != nil {
		return err
	}
	return s.leave(ctx, t, actor, moved, controlplane.LeftMoved,
		"Another connection or zone was chosen for the name.")
}

// leaveRecords ends the removals through a connection, or in an organization if the connection is
// empty. The records stay at the DNS hosts.
func (s *Service) leaveRecords(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, orgID, connection string,
	reason controlplane.LeftReason,
) error {
	for {
		records, err := t.TakeRemovals(ctx, orgID, connection, removalBatch)
		if err != nil || len(records) == 0 {
			return err
		}
		if err := s.leave(ctx, t, actor, records, reason, ""); err != nil {
			return err
		}
	}
}

// removalsShown is how many records the message about pending removals names.
const removalsShown = 10

// nothingToRemove returns KindConflict if records are still to be removed through a connection.
func (s *Service) nothingToRemove(
	ctx context.Context, t *postgres.Tx, c *controlplane.Connection,
) error {
	n, names, err := t.Removals(ctx, c.OrgID, c.ID, removalsShown)
	if err != nil || n == 0 {
		return err
	}
	at := s.now().Add(5 * time.Second)
	j, err := t.OpenConnectionJob(ctx, c.OrgID, c.ID)
	switch {
	case err == nil && j.RunAt.After(at):
		at = j.RunAt
	case controlplane.IsKind(err, controlplane.KindNotFound):
		at = s.now().Add(time.Minute)
	case err != nil:
		return err
	}
	list := strings.Join(names, ", ")
	if more := n - len(names); more > 0 {
		list += fmt.Sprintf(", and %d more", more)
	}
	return &controlplane.Error{Kind: controlplane.KindConflict,
		Code: controlplane.CodeConnectionBusy, RetryAt: at,
		Message: fmt.Sprintf("Records that are no longer needed are still to be removed at the "+
			"DNS host (%d): %s.", n, list),
		Fix: "Retry at retry_at. To leave the records at the DNS host, send records=keep."}
}
