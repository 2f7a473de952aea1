package lifecycle

import (
	"context"
	"errors"
	"sync"
	"time"

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
	c, err := s.Store.Connection(ctx, orgID, connectionID)
	if err != nil {
		return nil, err
	}
	access, err := s.accessOf(c)
	if err != nil {
		return nil, err
	}
	release, err := s.hosts.acquire(orgID, s.now())
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, planTime)
	defer cancel()
	zones, err := s.DNSHosts.Zones(ctx, access)
	if err != nil {
		return nil, hostProblem(err)
	}
	found, err := s.lookUp(ctx, access, zones, records)
	if err != nil {
		return nil, hostProblem(err)
	}
	plan := &controlplane.RecordPlan{ConnectionID: c.ID}
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

// lookUp returns what each record's name has. Its error is not about one name.
func (s *Service) lookUp(
	ctx context.Context, access controlplane.HostAccess, zones []string,
	records []controlplane.Record,
) ([]lookup, error) {
	found, errs := make([]lookup, len(records)), make([]error, len(records))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	turns := make(chan struct{}, planLookups)
	var all sync.WaitGroup
	for i, r := range records {
		zone := controlplane.ZoneOf(r.Name, zones)
		if zone == "" {
			continue
		}
		if turns <- struct{}{}; ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-turns }()
			if found[i], errs[i] = s.lookUpOne(ctx, access, zone, r.Name); errs[i] != nil {
				cancel() // the other names would fail, too
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return nil, err
		}
	}
	return found, ctx.Err()
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
