package lifecycle

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// RecordsToApply says what ApplyRecords creates: a plan, or everything that a connection allows.
type RecordsToApply struct {
	PlanID       string                   // of the plan that still has to be right; or
	ConnectionID string                   // the connection
	Overwrite    []controlplane.RecordSet // exactly what may be replaced
}

// ApplyRecords plans the records again, and starts a job that creates those that can be created. It
// returns the connection's open job, and whether this call added or expedited it. It returns
// KindConflict if the plan has changed, if a name has other records than Overwrite lists for it, or
// if no record can be created, and the errors of PlanRecords.
func (s *Service) ApplyRecords(
	ctx context.Context, actor controlplane.Actor, orgID string, in RecordsToApply,
	records []controlplane.Record,
) (*controlplane.Job, bool, error) {
	connection := in.ConnectionID
	if in.PlanID != "" {
		connection = controlplane.PlanConnection(in.PlanID)
	}
	plan, err := s.PlanRecords(ctx, orgID, connection, records)
	if err != nil {
		return nil, false, err
	}
	wanted, err := in.requests(plan)
	if err != nil {
		return nil, false, err
	}
	var job *controlplane.Job
	var started bool
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		now := s.now()
		// Several delegations are locked below, in another order than the deletion of a domain
		// locks those that it ends. The organization, which that locks, too, comes first.
		if _, err := t.LockOrganization(ctx, orgID); err != nil {
			return err
		}
		if _, err := t.LockConnection(ctx, orgID, connection); err != nil {
			return err
		}
		if job, started, err = s.startApply(ctx, t, orgID, connection, actor.RequestID,
			now); err != nil || len(wanted) == 0 {
			return err
		}
		fresh, err := notWaiting(ctx, t, job, wanted)
		if err != nil || len(fresh) == 0 {
			return err
		}
		if err := s.leaveMoved(ctx, t, actor, job, fresh, now); err != nil {
			return err
		}
		stored, err := t.RequestRecords(ctx, job, fresh, now)
		if err != nil {
			return err
		}
		if len(stored) < len(fresh) {
			return &controlplane.Error{Kind: controlplane.KindConflict,
				Code: controlplane.CodeConnectionBusy, RetryAt: now.Add(time.Minute),
				Message: "Another change of these records is in progress."}
		}
		return s.auditRequests(ctx, t, actor, stored, now)
	})
	return job, started, err
}

func (s *Service) auditRequests(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor,
	stored []controlplane.HostedRecord, now time.Time,
) error {
	entries := make([]controlplane.AuditEntry, len(stored))
	for i := range stored {
		entries[i] = s.auditRecord(actor, controlplane.ActionRecordRequested, &stored[i], now,
			map[string]any{"zone": stored[i].Zone, "name": stored[i].Name,
				"value": stored[i].Value, "replaces": stored[i].Replaces})
	}
	return t.Audit(ctx, entries...)
}

// notWaiting returns the requests that differ from those that wait for the job already.
func notWaiting(
	ctx context.Context, t *postgres.Tx, j *controlplane.Job, wanted []controlplane.RecordRequest,
) ([]controlplane.RecordRequest, error) {
	names := make([]string, len(wanted))
	for i, r := range wanted {
		names[i] = r.Name
	}
	waiting, err := t.WaitingRecords(ctx, j, names)
	return slices.DeleteFunc(slices.Clone(wanted), func(r controlplane.RecordRequest) bool {
		return slices.ContainsFunc(waiting, func(w controlplane.HostedRecord) bool {
			return w.Name == r.Name && w.Zone == r.Zone && w.Value == r.Value &&
				controlplane.SameRecords(w.Replaces, r.Replaces)
		})
	}), err
}

// requests returns the records that the plan creates, and those that it replaces with permission.
func (in RecordsToApply) requests(
	plan *controlplane.RecordPlan,
) ([]controlplane.RecordRequest, error) {
	if in.PlanID != "" && plan.ID() != in.PlanID {
		return nil, dnsChanged("The DNS host has changed since the plan was made.")
	}
	wanted := []controlplane.RecordRequest{}
	done, listed := 0, 0
	for _, c := range plan.Changes {
		seen := in.overwritten(c.Name)
		listed += len(seen)
		if c.Action == controlplane.RecordNone {
			done++
			continue
		}
		if len(seen) > 0 && !controlplane.SameRecords(seen, c.Before) {
			return nil, dnsChanged(c.Name + " has other records than overwrite lists.")
		}
		if c.Action == controlplane.RecordCreate || len(seen) > 0 {
			wanted = append(wanted, controlplane.RecordRequest{Name: c.Name, Zone: c.Zone,
				Value:    strings.TrimSuffix(c.After.Values[0], "."),
				Replaces: append([]controlplane.RecordSet{}, c.Before...)})
		}
	}
	if listed < len(in.Overwrite) {
		return nil, dnsChanged("overwrite lists names without a record of this request.")
	}
	if len(wanted)+done == 0 && len(plan.Conflicts) > 0 {
		first := plan.Conflicts[0]
		code := controlplane.RecordReason(first.Kind)
		return nil, &controlplane.Error{Kind: controlplane.KindConflict, Code: code,
			Message: first.Message, Fix: controlplane.FixOf(code)}
	}
	return wanted, nil
}

func (in RecordsToApply) overwritten(name string) []controlplane.RecordSet {
	return slices.DeleteFunc(slices.Clone(in.Overwrite), func(set controlplane.RecordSet) bool {
		return !strings.EqualFold(strings.TrimSuffix(set.Name, "."), name)
	})
}

func dnsChanged(message string) error {
	return &controlplane.Error{Kind: controlplane.KindConflict, Code: controlplane.CodeDNSChanged,
		Message: message, Fix: controlplane.FixOf(controlplane.CodeDNSChanged)}
}

// startApply adds the job of a connection that the transaction has locked, or makes the open one
// due.
func (s *Service) startApply(
	ctx context.Context, t *postgres.Tx, orgID, connection, requestID string, now time.Time,
) (*controlplane.Job, bool, error) {
	job, started, err := t.AddConnectionJob(ctx, applyJob(orgID, connection, requestID, now,
		controlplane.QueueCritical))
	if err == nil && !started {
		return t.ExpediteJob(ctx, orgID, job.ID, now)
	}
	return job, started, err
}

func applyJob(
	orgID, connection, requestID string, now time.Time, queue controlplane.Queue,
) *controlplane.Job {
	return &controlplane.Job{ID: controlplane.NewID(controlplane.PrefixJob), OrgID: orgID,
		ConnectionID: connection, Type: controlplane.JobDNSApply, Queue: queue,
		Status: controlplane.JobQueued, RunAt: now, RequestID: requestID, CreatedAt: now}
}

// resumeApply adds the job of a connection that works again, if records wait for it, or for their
// removal. The transaction has locked the connection.
func (s *Service) resumeApply(
	ctx context.Context, t *postgres.Tx, c *controlplane.Connection, requestID string,
) error {
	if c.Status != controlplane.ConnectionOK {
		return nil
	}
	if _, err := t.RetryRecords(ctx, c); err != nil {
		return err
	}
	r, err := nextRecord(ctx, t.PendingRecord, t.RemovableRecord, c)
	if err == nil && r != nil {
		_, _, err = s.startApply(ctx, t, c.OrgID, c.ID, requestID, s.now())
	}
	return err
}

// auditRecord returns an entry of the delegation of a record.
func (s *Service) auditRecord(
	actor controlplane.Actor, action string, r *controlplane.HostedRecord, now time.Time,
	details map[string]any,
) controlplane.AuditEntry {
	entry := s.audit(r.OrgID, actor, action, "delegation", r.DelegationID, now)
	details["job_id"], details["connection_id"] = r.JobID, r.ConnectionID
	entry.Details = details
	return entry
}
