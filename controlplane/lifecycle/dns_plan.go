package lifecycle

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// planLookups is how many names of a plan are looked up at a time.
	planLookups = 8
	// planTime limits a plan, whose caller waits.
	planTime = 20 * time.Second
)

// PlanRecords looks up what the records' names have at the DNS host of a connection, and returns
// what creating them would change. It changes nothing. It returns KindUnavailable if the host does
// not respond, and KindConflict if the connection is invalid or busy.
func (s *Service) PlanRecords(
	ctx context.Context, orgID, connectionID string, records []controlplane.Record,
) (*controlplane.RecordPlan, error) {
	access, leave, err := s.openHost(ctx, orgID, connectionID)
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, planTime)
	defer cancel()
	zones, err := s.DNSHosts.Zones(ctx, access)
	if err != nil {
		return nil, hostProblem(err)
	}
	found, err := s.lookUp(ctx, access, zones, records)
	if errors.Is(err, context.DeadlineExceeded) {
		err = &controlplane.HostError{Kind: controlplane.HostUnreachable, Err: err,
			Message: "The DNS host did not respond in time."}
	}
	if err != nil {
		return nil, hostProblem(err)
	}
	plan := &controlplane.RecordPlan{ConnectionID: connectionID}
	for i, r := range records {
		plan.Add(r, controlplane.ZoneOf(r.Name, zones), found[i].sets, found[i].err)
	}
	return plan, nil
}

// RecordsOf returns the CNAMEs of a domain's names, the domain's name first.
func (s *Service) RecordsOf(d *controlplane.Domain) []controlplane.Record {
	var records []controlplane.Record
	for _, name := range d.Bases() {
		records = append(records, s.DelegationAt(d, name))
	}
	return records
}

// lookup is what a name has at the DNS host, or why a record of the name can't be created.
type lookup struct {
	sets []controlplane.RecordSet
	err  *controlplane.HostError
}

// lookUp returns what each record's name has. Its error is not about one name: the others would
// fail, too.
func (s *Service) lookUp(
	ctx context.Context, access controlplane.HostAccess, zones []string,
	records []controlplane.Record,
) ([]lookup, error) {
	found := make([]lookup, len(records))
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(planLookups)
	for i, r := range records {
		zone := controlplane.ZoneOf(r.Name, zones)
		if zone == "" {
			continue
		}
		all.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			found[i], err = s.lookUpOne(ctx, access, zone, r.Name)
			return err
		})
	}
	return found, all.Wait()
}

func (s *Service) lookUpOne(
	ctx context.Context, access controlplane.HostAccess, zone, name string,
) (lookup, error) {
	sets, err := s.DNSHosts.Records(ctx, access, zone, name)
	e, ok := errors.AsType[*controlplane.HostError](err)
	if ok && (e.Kind == controlplane.HostNoZone || e.Kind == controlplane.HostDenied) {
		return lookup{err: e}, nil
	}
	return lookup{sets: sets}, err
}
