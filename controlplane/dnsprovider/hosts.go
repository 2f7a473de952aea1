package dnsprovider

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/publicnet"
)

// timeout limits each call.
const timeout = 10 * time.Second

// Config configures Hosts. The zero value connects to the public Internet.
type Config struct {
	Loopback bool          // also allows the loopback interface; for development
	Timeout  time.Duration // of a call; default 10 s
	Resolver *net.Resolver // default net.DefaultResolver
	Allowed  func(netip.Addr) bool
	Now      func() time.Time // signs messages; default time.Now
}

// Hosts reaches the DNS hosts of connections. It is safe for concurrent use.
type Hosts struct {
	dialer  *net.Dialer
	timeout time.Duration
	now     func() time.Time
}

// New returns Hosts.
func New(c Config) *Hosts {
	if c.Allowed == nil {
		c.Allowed = publicnet.Allowed(c.Loopback)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Hosts{dialer: publicnet.NewDialer(c.Resolver, c.Allowed),
		timeout: cmp.Or(c.Timeout, timeout), now: c.Now}
}

// host is a DNS host with the credentials of a connection.
type host interface {
	zones(ctx context.Context) ([]string, error)
	test(ctx context.Context) error
	records(ctx context.Context, zone, name string) ([]controlplane.RecordSet, error)
	create(
		ctx context.Context, r controlplane.HostRecord, replace []controlplane.RecordSet,
	) (string, error)
	remove(ctx context.Context, r controlplane.HostRecord) error
}

// errCredentials does not wrap its cause, which may quote the credentials.
var errCredentials = errors.New("dnsprovider: malformed credentials")

func (h *Hosts) open(a controlplane.HostAccess) (host, error) {
	switch a.Type {
	case controlplane.ConnectionRFC2136:
		var c controlplane.RFC2136Credentials
		if json.Unmarshal(a.Credentials, &c) != nil {
			return nil, errCredentials
		}
		return newNameServer(h, c), nil
	}
	return nil, errors.New("dnsprovider: unknown type of connection " + string(a.Type))
}

// Zones returns the zones in which the connection may create records, sorted.
func (h *Hosts) Zones(ctx context.Context, a controlplane.HostAccess) ([]string, error) {
	return call(ctx, h, a, host.zones)
}

// Test checks that the host accepts the credentials. It changes nothing.
func (h *Hosts) Test(ctx context.Context, a controlplane.HostAccess) error {
	_, err := call(ctx, h, a,
		func(one host, ctx context.Context) (struct{}, error) { return struct{}{}, one.test(ctx) })
	return err
}

// Records returns what a name has, sorted by type.
func (h *Hosts) Records(
	ctx context.Context, a controlplane.HostAccess, zone, name string,
) ([]controlplane.RecordSet, error) {
	return call(ctx, h, a, func(one host, ctx context.Context) ([]controlplane.RecordSet, error) {
		return one.records(ctx, zone, name)
	})
}

// Create creates the record if its name has exactly the records in replace, which it replaces. With
// an empty list, that is atomic: it creates the record only if the name has none. It returns the
// host's ID of the record, if the host has IDs, and HostConflict if the name has other records.
func (h *Hosts) Create(
	ctx context.Context, a controlplane.HostAccess, r controlplane.HostRecord,
	replace []controlplane.RecordSet,
) (string, error) {
	return call(ctx, h, a, func(one host, ctx context.Context) (string, error) {
		return one.create(ctx, r, replace)
	})
}

// Remove removes the record if it is as it was created. Otherwise it removes nothing, and returns
// HostChanged with the records that the name has.
func (h *Hosts) Remove(
	ctx context.Context, a controlplane.HostAccess, r controlplane.HostRecord,
) error {
	_, err := call(ctx, h, a, func(one host, ctx context.Context) (struct{}, error) {
		return struct{}{}, one.remove(ctx, r)
	})
	return err
}

// call calls do with the host and the limit of a call.
func call[T any](
	ctx context.Context, h *Hosts, a controlplane.HostAccess,
	do func(host, context.Context) (T, error),
) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	one, err := h.open(a)
	if err != nil {
		var none T
		return none, err
	}
	return do(one, ctx)
}
