package soak

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// world is the state of the simulated year.
type world struct {
	t        testing.TB
	clock    *clock
	dice     *dice
	scenario *scenario
	store    *postgres.Store
	own      *pgx.Conn // for the test's own queries
	redis    *miniredis.Miniredis
	client   *redis.Client
	sealer   *seal.Sealer
	dns      *dns
	cas      []*ca
	limits   acme.Limits
	org      string
	lanes    []postgres.Lane

	workers   *lifecycle.Service
	engine    *acme.Engine
	transport *transport
	dying     bool // workers die at their next step

	added     int       // number of subjects added
	started   int       // number of faults started
	restored  int       // number of faults ended
	forwarded time.Time // the time of Redis
	told      int       // number of progress messages, one per twentieth of the year
	lastSweep time.Time
	scan      time.Time // time of the next daily scan
	killed    []string  // jobs with a dead worker
	seen      record
}

// record counts the events of the year.
type record struct {
	leaps, runs, killed, dead, ended int
	kinds                            map[kind]int
	unexpected                       map[string]int // unexpected errors of job runs
	sizes                            []size
}

func newWorld(t testing.TB, domains, days int, seed uint64) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: start}, dice: newDice(seed), transport: newTransport(),
		limits: limitsFor(domains),
		lanes: []postgres.Lane{{Queue: controlplane.QueueCritical, Room: laneRoom},
			{Queue: controlplane.QueueDefault, Room: laneRoom},
			{Queue: controlplane.QueueBulk, Room: laneRoom}},
		scan: lifecycle.NextScan(start), forwarded: start,
		seen: record{kinds: map[kind]int{}, unexpected: map[string]int{}}}
	s := newScenario(domains, days, w.dice)
	w.scenario = &s
	dsn := postgrestest.DSN(t)
	var err error
	w.store, err = postgres.Open(t.Context(), postgres.Config{DSN: dsn, MaxConns: 12})
	must(t, err)
	t.Cleanup(w.store.Close)
	w.own, err = pgx.Connect(t.Context(), dsn)
	must(t, err)
	t.Cleanup(func() { _ = w.own.Close(context.Background()) })
	w.redis = miniredis.NewMiniRedis()
	must(t, w.redis.Start())
	t.Cleanup(w.redis.Close)
	keyset, err := seal.New()
	must(t, err)
	w.sealer, err = seal.Open(keyset)
	must(t, err)
	w.dns = newDNS(w.clock, w.scenario, w.store)
	for _, name := range []string{"primary", "backup"} {
		a := startCA(t, name, w.clock, w.dns, w.scenario, w.dice, w.limits)
		a.manners = a.mannerOfYear
		w.cas = append(w.cas, a)
	}
	w.startWorkers()
	t.Cleanup(func() { w.engine.Close(); _ = w.client.Close() })
	o, err := w.workers.CreateOrganization(t.Context(), controlplane.System("test"),
		lifecycle.NewOrganization{Name: "Soak", Tier: controlplane.TierAgency,
			DomainLimit: &domains})
	must(t, err)
	w.org = o.ID
	return w
}

// startWorkers replaces the workers with new ones. State in the memory of a process is lost.
func (w *world) startWorkers() {
	if w.engine != nil {
		w.engine.Close()
		_ = w.client.Close()
	}
	var cas []acme.CA
	for _, a := range w.cas {
		cas = append(cas, a.configure(w.limits))
	}
	w.client = redis.NewClient(&redis.Options{Addr: w.redis.Addr(), MaxRetries: -1,
		DialTimeout: time.Second})
	governor, err := acme.NewGovernor(acme.GovernorConfig{Redis: w.client, CAs: cas,
		Now: w.clock.Now, Timeout: 10 * time.Second})
	must(w.t, err)
	w.engine, err = acme.New(acme.Config{CAs: cas, Accounts: w.store, Sealer: w.sealer,
		Now: w.clock.Now, Sleep: w.clock.sleep})
	must(w.t, err)
	w.workers, err = lifecycle.New(lifecycle.Config{Store: w.store,
		Zone: "acme.example.net", TargetKey: []byte("0123456789abcdef"), Sealer: w.sealer,
		Issuer: mortalIssuer{w.engine}, Governor: mortalGovernor{governor}, Doctor: w.dns,
		Now: w.clock.Now, Rand: w.dice.float, Lease: lease, SweepSpread: -1,
		Visible: w.visible})
	must(w.t, err)
}

// visible implements lifecycle.Config.Visible.
func (w *world) visible(context.Context, string, []string) error {
	if w.scenario.during(w.clock.Now(), zoneAway) != nil {
		return errors.New("a name server of the zone does not respond")
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
