package lifecycle

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// TestConnection tests a connection now, and stores the result.
func (s *Service) TestConnection(
	ctx context.Context, actor controlplane.Actor, orgID, id string,
) (*controlplane.Connection, error) {
	c, err := s.Store.Connection(ctx, orgID, id)
	if err != nil {
		return nil, err
	}
	leave, err := s.enterHost(orgID)
	if err != nil {
		return nil, err
	}
	defer leave()
	return s.probe(ctx, actor, c, true)
}

// probe tests a connection and stores the result, unless its credentials were replaced meanwhile.
// Without always, the log gets an entry only if the status changed.
func (s *Service) probe(
	ctx context.Context, actor controlplane.Actor, c *controlplane.Connection, always bool,
) (*controlplane.Connection, error) {
	access, err := s.accessOf(c)
	if err != nil {
		return nil, err
	}
	result := s.DNSHosts.Test(ctx, access)
	if ctx.Err() != nil {
		return nil, ctx.Err() // the host is not the cause
	}
	var after *controlplane.Connection
	err = s.Store.InTx(ctx, func(t *postgres.Tx) error {
		var err error
		if after, err = t.LockConnection(ctx, c.OrgID, c.ID); err != nil {
			return err
		}
		if !s.sameCredentials(after, c) {
			return nil
		}
		before := after.Status
		if err := s.showTest(after, result); err != nil {
			return err
		}
		if err := t.SaveConnection(ctx, after); err != nil {
			return err
		}
		if after.Status != before {
			if err := s.resumeApply(ctx, t, after, actor.RequestID); err != nil {
				return err
			}
		}
		if !always && after.Status == before {
			return nil
		}
		action := controlplane.ActionConnectionTested
		if after.Status != controlplane.ConnectionOK && (!always || after.Status != before) {
			action = controlplane.ActionConnectionFailed
		}
		entry := s.auditConnection(actor, action, after, s.now())
		entry.Details = map[string]any{"name": after.Name, "status": string(after.Status),
			"previous_status": string(before), "detail": after.StatusDetail}
		return t.Audit(ctx, entry)
	})
	return after, err
}

const (
	// connectionBatch is how many connections a worker tests at a time.
	connectionBatch = 8
	// connectionLease is when a test that was lost with its worker is repeated.
	connectionLease = 10 * time.Minute
)

// TestConnections tests the connections that are due, and returns how many it tested. A connection
// whose status changes has an entry in the log.
func (s *Service) TestConnections(ctx context.Context) (int, error) {
	tested := 0
	for {
		now := s.now()
		due, err := s.Store.TakeDueConnections(ctx, now, now.Add(connectionLease), connectionBatch)
		if err != nil || len(due) == 0 {
			return tested, err
		}
		errs := make([]error, len(due))
		var all sync.WaitGroup
		for i := range due {
			all.Go(func() {
				_, err := s.probe(ctx, controlplane.System("connections"), &due[i], false)
				if !controlplane.IsKind(err, controlplane.KindNotFound) { // it was deleted
					errs[i] = err
				}
			})
		}
		all.Wait()
		tested += len(due)
		if err := errors.Join(errs...); err != nil {
			return tested, err
		}
	}
}
