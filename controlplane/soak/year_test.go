package soak

import (
	"flag"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

var (
	soakDomains = flag.Int("soak.domains", 15, "how many domains live through the time")
	soakDays    = flag.Int("soak.days", 51, "how many days it has")
	soakSeed    = flag.Uint64("soak.seed", 1, "what its faults are drawn by")
	soakFull    = flag.Bool("soak.full", false, "a thousand domains and 400 days")
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// TestYear lives through a year, or a part of it, with faults of CAs, DNS, Redis and workers.
// The same seed gives the same faults; in which order workers come to them, and the
// product's own jitter, differ from run to run.
func TestYear(t *testing.T) {
	t.Parallel()
	domains, days := *soakDomains, *soakDays
	if *soakFull {
		domains, days = 1000, 400
	}
	t.Logf("%d domains, %d days, -soak.seed=%d", domains, days, *soakSeed)
	w := newWorld(t, domains, days, *soakSeed)
	w.live()
	w.report()
	w.check()
}
