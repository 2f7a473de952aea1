package program

import (
	"context"
	"net"
	"net/netip"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnsserver"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// zoneLeases implements dnsserver.Leases with the store.
type zoneLeases struct {
	store    *postgres.Store
	id       string
	announce string // the address at which workers query this replica; empty: found
}

// Extend implements dnsserver.Leases.
func (z *zoneLeases) Extend(ctx context.Context, b dnsserver.Beat) error {
	address := z.announce
	if address == "" {
		var err error
		if address, err = z.reachable(ctx, b.Address); err != nil {
			return err
		}
	}
	return z.store.ExtendReplica(ctx, postgres.Replica{ID: z.id, Address: address,
		Beat: b.Number, Received: b.Received}, b.Lease)
}

// reachable returns a listen address as workers reach it. If it stands for all addresses of the
// machine, it is the one from which this process connects to Postgres, because the workers connect
// to Postgres too.
func (z *zoneLeases) reachable(ctx context.Context, listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() {
		return listen, nil
	}
	if host, err = z.store.LocalAddr(ctx); err != nil {
		return "", err
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// End implements dnsserver.Leases.
func (z *zoneLeases) End(ctx context.Context) error { return z.store.EndReplica(ctx, z.id) }

// nameServers returns the name servers that must serve a value before a CA is told to query it:
// those of the setting, or all replicas that hold a lease.
func (a *App) nameServers(ctx context.Context) ([]string, error) {
	if len(a.config.DNS.Servers) > 0 {
		return a.config.DNS.Servers, nil
	}
	replicas, err := a.store.Replicas(ctx)
	list := make([]string, len(replicas))
	for i, r := range replicas {
		list[i] = r.Address
	}
	return list, err
}
