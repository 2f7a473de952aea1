package soak

import (
	"flag"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

var (
	soakDomains = flag.Int("soak.domains", 10, "number of domains")
	soakDays    = flag.Int("soak.days", 51, "number of days")
	soakSeed    = flag.Uint64("soak.seed", 1, "seed of the faults")
	soakFaults  = flag.String("soak.faults", "", "regular expression of the faults that occur, of all")
	soakCalm    = flag.Bool("soak.calm", false, "no faults, and 45-day certificates only, to measure the growth of the database")
	soakFull    = flag.Bool("soak.full", false, "run with 1,000 domains and 400 days")
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// TestYear simulates a year, or a part of it, with faults of CAs, DNS, Redis, and workers. The same
// seed gives the same faults. The order in which workers meet them, and the product's own jitter,
// differ from run to run.
func TestYear(t *testing.T) {
	t.Parallel()
	domains, days := *soakDomains, *soakDays
	if *soakFull {
		domains, days = 1000, 400
	}
	t.Logf("%d domains, %d days, -soak.seed=%d", domains, days, *soakSeed)
	w := newWorld(t, domains, days, *soakSeed)
	if *soakCalm {
		w.calm()
	}
	w.live()
	w.report()
	w.check()
}
