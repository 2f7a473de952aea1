package lifecycle

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// applyTime is how long the first check of a domain waits for records that are being created. Then
// no resolver caches that they are missing. The check follows their creation immediately.
const applyTime = 30 * time.Second

// knownConnection adds an error to e if the organization has no connection with the ID, which can
// be empty.
func knownConnection(
	ctx context.Context, q interface {
		Connection(ctx context.Context, orgID, id string) (*controlplane.Connection, error)
	}, orgID, id string, e *controlplane.Error,
) error {
	if id == "" {
		return nil
	}
	_, err := q.Connection(ctx, orgID, id)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		e.Fields = append(e.Fields, controlplane.FieldError{Pointer: "/connection_id",
			Code: "connection-unknown", Detail: "No DNS connection has this ID."})
		return nil
	}
	return err
}

// requestDefaults requests the records of names whose delegations have a connection, unless they
// exist or are requested. It returns the delegations with a connection, by name. The transaction
// has locked the organization.
func (s *Service) requestDefaults(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, orgID string, names []string,
	now time.Time,
) (map[string]controlplane.DefaultRecord, error) {
	found, err := t.DefaultRecords(ctx, orgID, names)
	if err != nil {
		return nil, err
	}
	known := make(map[string]controlplane.DefaultRecord, len(found))
	missing := make(map[string][]controlplane.RecordRequest)
	for _, r := range found {
		if r.IsMissing() {
			missing[r.ConnectionID] = append(missing[r.ConnectionID], controlplane.RecordRequest{
				Name:      rules.ChallengeName(r.Name),
				Value:     controlplane.NewRecord(r.Name, r.Target, s.Zone).Target,
				Replaces:  []controlplane.RecordSet{},
				Automatic: true})
			r = r.Requested()
		}
		known[r.Name] = r
	}
	for _, connection := range slices.Sorted(maps.Keys(missing)) {
		if _, err := t.LockConnection(ctx, orgID, connection); err != nil {
			return nil, err
		}
		job, _, err := s.startApply(ctx, t, orgID, connection, actor.RequestID, now)
		if err != nil {
			return nil, err
		}
		stored, err := t.RequestRecords(ctx, job, missing[connection], now)
		if err != nil {
			return nil, err
		}
		if err := s.auditRequests(ctx, t, actor, stored, now); err != nil {
			return nil, err
		}
	}
	return known, nil
}

// addThrough is AddDomain for a domain with a connection, whose records are requested with it.
func (s *Service) addThrough(
	ctx context.Context, actor controlplane.Actor, orgID string, in NewDomain,
) (*controlplane.Domain, error) {
	added, err := s.AddDomains(ctx, actor, orgID, []NewDomain{in})
	switch {
	case err != nil:
		return nil, err
	case added[0].Err != nil:
		return nil, added[0].Err
	case !added[0].New:
		return nil, controlplane.DomainExists(added[0].Domain.Name, added[0].Domain.ID)
	}
	return added[0].Domain, s.Store.ReadDelegations(ctx, orgID, added[0].Domain)
}

// requestAdded is requestDomain for those of the additions that were stored and have a connection.
// The first check of a domain waits for its records.
func (s *Service) requestAdded(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, orgID string,
	fresh []*postgres.Addition, stored []bool, now time.Time,
) error {
	var through []*postgres.Addition
	var names []string
	for i, a := range fresh {
		if stored[i] && a.Domain.ConnectionID != "" {
			through, names = append(through, a), append(names, a.Domain.Bases()...)
		}
	}
	if len(through) == 0 {
		return nil
	}
	known, err := s.requestDefaults(ctx, t, actor, orgID, names, now)
	if err != nil {
		return err
	}
	at := now.Add(applyTime)
	for _, a := range through {
		d := a.Domain
		if !showDefaults(d, known) {
			continue
		}
		if c := d.Condition(controlplane.DNSReady); c.Reason == controlplane.ReasonApplyPending {
			c.NextCheckAt = &at
			d.SetCondition(c)
			if err := t.PostponeJob(ctx, orgID, a.Job.ID, "", at, now); err != nil {
				return err
			}
		}
		if err := t.SaveDomain(ctx, d, now); err != nil {
			return err
		}
	}
	return nil
}

// requestDomain is requestDefaults for the names of a domain that the transaction has added or
// saved. It shows in the domain's condition which CNAMEs are being created, and saves it again if
// that changes it. If none are any longer, it starts a check.
func (s *Service) requestDomain(
	ctx context.Context, t *postgres.Tx, actor controlplane.Actor, d *controlplane.Domain,
	now time.Time,
) error {
	known, err := s.requestDefaults(ctx, t, actor, d.OrgID, d.Bases(), now)
	if err != nil {
		return err
	}
	if showDefaults(d, known) {
		return t.SaveDomain(ctx, d, now)
	}
	if len(known) > 0 || !d.Condition(controlplane.DNSReady).IsOfRecord() {
		return nil
	}
	// Nothing creates the records now: a check finds out what is missing.
	j, added, err := t.AddJob(ctx,
		newJob(controlplane.JobDNSCheck, controlplane.QueueCritical, d, actor.RequestID, now))
	if err == nil && !added {
		_, _, err = t.ExpediteJob(ctx, d.OrgID, j.ID, now)
	}
	return err
}

// showDefaults shows why the CNAMEs do not exist that are created through connections, instead of
// that they are not found. It reports whether that changes the domain.
func showDefaults(d *controlplane.Domain, known map[string]controlplane.DefaultRecord) bool {
	c := d.Condition(controlplane.DNSReady)
	if c.Status == controlplane.ConditionTrue || !c.Reason.AwaitsRecord() {
		return false
	}
	before := c
	name := d.Name
	if len(c.Names) > 0 {
		c.Names, name = slices.Clone(c.Names), c.Names[0].Name
	}
	for i, n := range c.Names {
		if why, ok := causeOf(known, n.Name); ok && n.Reason.AwaitsRecord() {
			c.Names[i].Reason, c.Names[i].Message, c.Names[i].Fix = why.Reason, why.Message, why.Fix
		}
	}
	if why, ok := causeOf(known, name); ok {
		c.Reason, c.Fix = why.Reason, why.Fix
		c.Message = why.Message + alsoNotReady(len(c.Names)-1)
	}
	if same(before, c) {
		return false
	}
	if d.StatusReason == before.Reason {
		d.StatusReason = c.Reason
	}
	d.SetCondition(c)
	return true
}

func causeOf(
	known map[string]controlplane.DefaultRecord, name string,
) (controlplane.NameStatus, bool) {
	r, found := known[name]
	if !found {
		return controlplane.NameStatus{}, false
	}
	return r.Cause()
}

// readDefaults reads what is known of the records that connections create for the names that a
// check did not find. One that was not requested yet is requested, and one that could not be
// created again, once a check has shown that: the last one was at shown, nil without one.
func (w *work) readDefaults(
	ctx context.Context, orgID string, names []string, shown *time.Time,
) (map[string]controlplane.DefaultRecord, error) {
	if len(names) == 0 {
		return nil, nil
	}
	found, err := w.Store.DefaultRecords(ctx, orgID, names)
	if err != nil {
		return nil, err
	}
	known := make(map[string]controlplane.DefaultRecord, len(found))
	var again []string
	for _, r := range found {
		known[r.Name] = r
		failed := r.State == controlplane.RecordFailed && !r.Ended
		if r.IsMissing() && (!failed || shown != nil && !shown.Before(r.UpdatedAt)) {
			again = append(again, r.Name)
		}
	}
	if len(again) == 0 {
		return known, nil
	}
	return known, w.Store.InTx(ctx, func(t *postgres.Tx) error {
		if _, err := t.LockOrganization(ctx, orgID); err != nil {
			return err
		}
		_, err := w.requestDefaults(ctx, t, w.actor(), orgID, again, w.now())
		return err
	})
}

// undelegated returns the names whose CNAME a check did not find.
func undelegated(seen controlplane.DomainExamination) []string {
	var names []string
	for _, n := range seen.Undelegated() {
		if !n.Cause.Transient() {
			names = append(names, n.Name)
		}
	}
	return names
}

// showDefault shows in a delegation that no domain uses why its CNAME does not exist, like
// showDefaults in a domain.
func showDefault(g *controlplane.Delegation, known map[string]controlplane.DefaultRecord) {
	why, ok := causeOf(known, g.Name)
	if !ok || g.Domains > 0 || g.State != controlplane.DelegationBroken || g.Diagnosis == nil {
		return
	}
	d := *g.Diagnosis
	d.Code, d.Summary, d.Fix = string(why.Reason), why.Message, why.Fix
	g.Diagnosis = &d
}
