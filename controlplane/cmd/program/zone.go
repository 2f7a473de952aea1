package program

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/dnsserver"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// newZone returns the name server of the validation zone, which reads its data from Postgres.
func newZone(
	c *Config, store *postgres.Store, log *slog.Logger, metrics prometheus.Registerer,
) (*dnsserver.Server, error) {
	servers, err := parseNameServers(c.DNS.NameServers, c.Zone)
	if err != nil {
		return nil, err
	}
	var exempt []netip.Prefix
	for _, s := range c.DNS.RateExempt {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf(
				"dns-rate-exempt (DCVAAS_DNS_RATE_EXEMPT): invalid network %q: expected one such as 10.0.0.0/8", s)
		}
		exempt = append(exempt, p)
	}
	id := rand.Text()
	return dnsserver.New(dnsserver.Config{Zone: c.Zone, NameServers: servers, Listen: c.DNS.Listen,
		Source: zoneSource{store, id}, Leases: &zoneLeases{store, id, c.DNS.Announce},
		Aliases:   map[string]string{controlplane.ProbeName: controlplane.ProbeTarget},
		RateLimit: c.DNS.RateLimit, RateLimitExempt: exempt,
		Logger: log, Registerer: metrics})
}

// parseNameServers parses name servers such as "ns1.example.net=203.0.113.1/2001:db8::1". An empty
// list means one name server on a loopback address.
func parseNameServers(list []string, zone string) ([]dnsserver.NameServer, error) {
	if len(list) == 0 {
		list = []string{"ns1." + zone + "=127.0.0.1"}
	}
	var out []dnsserver.NameServer
	for _, s := range list {
		host, addrs, _ := strings.Cut(s, "=")
		ns := dnsserver.NameServer{Host: host}
		for a := range strings.SplitSeq(addrs, "/") {
			if a == "" {
				continue
			}
			ip, err := netip.ParseAddr(a)
			if err != nil {
				return nil, fmt.Errorf("name-servers (DCVAAS_NAME_SERVERS): invalid IP address %q",
					a)
			}
			if ip.Is4() {
				ns.IPv4 = ip
			} else {
				ns.IPv6 = ip
			}
		}
		if host == "" {
			return nil, errors.New("name-servers (DCVAAS_NAME_SERVERS): missing host name")
		}
		out = append(out, ns)
	}
	return out, nil
}

// zoneSource implements dnsserver.Source with the store, so that neither package imports the other.
type zoneSource struct {
	store *postgres.Store
	id    string // of this replica
}

// Follow implements dnsserver.Source.
func (z zoneSource) Follow(ctx context.Context, feed dnsserver.Feed) error {
	var snap dnsserver.Snapshot
	return z.store.FollowZone(ctx, time.Now, postgres.ZoneFeed{
		Begin:           func() { snap = feed.StartSnapshot() },
		SnapshotTarget:  func(label string) { snap.Target(label) },
		SnapshotValue:   func(c controlplane.Challenge) { snap.Challenge(zoneChallenge(c)) },
		Commit:          func() { snap.Commit() },
		AddTarget:       feed.AddTarget,
		RemoveTarget:    feed.RemoveTarget,
		AddChallenge:    func(c controlplane.Challenge) { feed.AddChallenge(zoneChallenge(c)) },
		RemoveChallenge: feed.RemoveChallenge,
		Mark: func(replica string, beat int64) {
			if replica == z.id {
				feed.Mark(beat)
			}
		},
	})
}

// Lookup implements dnsserver.Source.
func (z zoneSource) Lookup(ctx context.Context, label string) (bool, []dnsserver.Challenge, error) {
	exists, found, err := z.store.LookupTarget(ctx, label, time.Now())
	out := make([]dnsserver.Challenge, len(found))
	for i, c := range found {
		out[i] = zoneChallenge(c)
	}
	return exists, out, err
}

func zoneChallenge(c controlplane.Challenge) dnsserver.Challenge {
	return dnsserver.Challenge{Label: c.Target, Value: c.Value, ExpiresAt: c.ExpiresAt}
}
