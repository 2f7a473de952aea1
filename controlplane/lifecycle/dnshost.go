package lifecycle

import (
	"bytes"
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// DNSHosts reaches the DNS hosts of connections (package dnsprovider). Its errors are
// *controlplane.HostError for everything that a host answers. Each call has its own timeout.
type DNSHosts interface {
	// Zones returns the zones in which the connection may create records, sorted.
	Zones(ctx context.Context, a controlplane.HostAccess) ([]string, error)
	// Test checks that the host accepts the credentials. It changes nothing.
	Test(ctx context.Context, a controlplane.HostAccess) error
	// Records returns what a name has, sorted by type.
	Records(
		ctx context.Context, a controlplane.HostAccess, zone, name string,
	) ([]controlplane.RecordSet, error)
	// Create creates the record if its name has exactly the records in replace, which it replaces.
	// It returns the host's ID of the record, and HostConflict if the name has other records.
	Create(
		ctx context.Context, a controlplane.HostAccess, r controlplane.HostRecord,
		replace []controlplane.RecordSet,
	) (string, error)
	// Remove removes the record if it is as it was created. Otherwise it removes nothing, and
	// returns HostChanged with the records that the name has.
	Remove(ctx context.Context, a controlplane.HostAccess, r controlplane.HostRecord) error
}

// newHostGate bounds the calls to customers' DNS hosts that a process makes at a time for requests.
// Each can take many seconds, with a connection to Postgres if the request has an Idempotency-Key.
// So half of the connections stay free for other requests.
func newHostGate(connections int) *controlplane.Gate {
	const perOrganization = 2
	return controlplane.NewGate(max(connections/2, perOrganization), perOrganization)
}

// enterHost takes a place among the calls to DNS hosts until leave is called. It returns
// KindConflict with the time of the next attempt if none is free.
func (s *Service) enterHost(orgID string) (leave func(), err error) {
	leave, ok := s.hosts.Enter(orgID)
	if !ok {
		return nil, &controlplane.Error{Kind: controlplane.KindConflict,
			Code: controlplane.CodeConnectionBusy, RetryAt: s.now().Add(5 * time.Second),
			Message: "Other calls to DNS hosts are in progress."}
	}
	return leave, nil
}

// openHost returns the access of a connection for a request, until leave is called.
func (s *Service) openHost(
	ctx context.Context, orgID, id string,
) (access controlplane.HostAccess, leave func(), err error) {
	c, err := s.Store.Connection(ctx, orgID, id)
	if err != nil {
		return access, nil, err
	}
	if access, err = s.accessOf(c); err != nil {
		return access, nil, err
	}
	leave, err = s.enterHost(orgID)
	return access, leave, err
}

// sameCredentials reports whether a connection still has the credentials with which it was read.
// They can have been sealed again since.
func (s *Service) sameCredentials(now, before *controlplane.Connection) bool {
	if bytes.Equal(now.Sealed, before.Sealed) {
		return true
	}
	credentials, err := s.Sealer.Open(before.Sealed, before.ID)
	return err == nil && s.hasCredentials(now, credentials)
}

// accessOf returns the access of a connection, with its credentials.
func (s *Service) accessOf(c *controlplane.Connection) (controlplane.HostAccess, error) {
	raw, err := s.Sealer.Open(c.Sealed, c.ID)
	if err != nil {
		return controlplane.HostAccess{}, wrap("unseal the credentials of a connection", err)
	}
	return controlplane.HostAccess{Type: c.Type, Credentials: raw}, nil
}
