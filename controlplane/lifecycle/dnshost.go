package lifecycle

import (
	"context"
	"sync"
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
}

// The calls to customers' DNS hosts that a process makes at a time for requests. Each one holds a
// connection to Postgres if the request has an Idempotency-Key.
const (
	hostCalls    = 8
	hostCallsOrg = 2 // of one organization
)

// hostSlots counts the calls to DNS hosts in progress.
type hostSlots struct {
	mu    sync.Mutex
	all   int
	byOrg map[string]int
}

// acquire returns a function that ends the call. It returns KindConflict with the time of the next
// attempt if too many calls are in progress.
func (h *hostSlots) acquire(orgID string, now time.Time) (release func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all >= hostCalls || h.byOrg[orgID] >= hostCallsOrg {
		return nil, &controlplane.Error{Kind: controlplane.KindConflict,
			Code: controlplane.CodeConnectionBusy, RetryAt: now.Add(5 * time.Second),
			Message: "Other calls to DNS hosts are in progress."}
	}
	if h.byOrg == nil {
		h.byOrg = make(map[string]int)
	}
	h.all++
	h.byOrg[orgID]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.all--
		if h.byOrg[orgID]--; h.byOrg[orgID] == 0 {
			delete(h.byOrg, orgID)
		}
	}, nil
}

// accessOf returns the access of a connection, with its credentials.
func (s *Service) accessOf(c *controlplane.Connection) (controlplane.HostAccess, error) {
	raw, err := s.Sealer.Open(c.Sealed, c.ID)
	if err != nil {
		return controlplane.HostAccess{}, wrap("unseal the credentials of a connection", err)
	}
	return controlplane.HostAccess{Type: c.Type, Credentials: raw}, nil
}
