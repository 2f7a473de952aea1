package soak

import (
	"context"
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

// lane runs one cell at a time, in its own database, because sweeps see the whole database.
type lane struct {
	store  *postgres.Store
	own    *pgx.Conn
	redis  *miniredis.Miniredis
	client *redis.Client
	sealer *seal.Sealer
	empty  string // statements that remove all rows
}

func newLane(t *testing.T) *lane {
	t.Helper()
	l := &lane{redis: miniredis.NewMiniRedis()}
	dsn := postgrestest.DSN(t)
	var err error
	l.store, err = postgres.Open(t.Context(), postgres.Config{DSN: dsn, MaxConns: 4})
	must(t, err)
	t.Cleanup(l.store.Close)
	l.own, err = pgx.Connect(t.Context(), dsn)
	must(t, err)
	t.Cleanup(func() { _ = l.own.Close(context.Background()) })
	must(t, l.redis.Start())
	t.Cleanup(l.redis.Close)
	l.client = redis.NewClient(&redis.Options{Addr: l.redis.Addr()})
	t.Cleanup(func() { _ = l.client.Close() })
	keyset, err := seal.New()
	must(t, err)
	l.sealer, err = seal.Open(keyset)
	must(t, err)
	rows, err := l.own.Query(t.Context(),
		`SELECT c.oid::regclass::text FROM pg_class c
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'goose%'`)
	must(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	l.empty = "SET session_replication_role = replica; "
	for _, table := range tables {
		l.empty += "DELETE FROM " + table + "; "
	}
	l.empty += "SET session_replication_role = origin"
	return l
}

// play runs a cell in the lane, and returns what is wrong with the product.
func (l *lane) play(t *testing.T, at coordinates) *cell {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := &cell{coordinates: at, lane: l, ctx: ctx, clock: &clock{now: start}, swept: start,
		idle: idleLeap, counts: map[string]int{}, orders: map[string]map[string]bool{}}
	func() {
		defer func() {
			if p := recover(); p != nil {
				err, ok := p.(broken)
				if !ok {
					panic(p)
				}
				c.wrong("broken", "%v", err)
			}
		}()
		c.setUp(t)
		c.play()
	}()
	c.engine.Close()
	for _, a := range c.cas {
		a.server.Close()
	}
	return c
}

// setUp empties the lane, and starts the CAs and a worker.
func (c *cell) setUp(t *testing.T) {
	l := c.lane
	_, err := l.own.PgConn().Exec(c.ctx, l.empty).ReadAll()
	c.must(err)
	l.redis.FlushAll()
	quiet := &scenario{subjects: []subject{{name: cellName, more: c.more()}}}
	d := newDNS(c.clock, quiet, l.store)
	limits := acme.Limits{
		NewOrdersPerAccount:             acme.Limit{Count: 300, Per: 3 * time.Hour},
		CertificatesPerRegisteredDomain: acme.Limit{Count: 50, Per: 7 * day},
		DuplicateCertificates:           acme.Limit{Count: 5, Per: 7 * day},
		FailedAuthorizations:            acme.Limit{Count: 5, Per: time.Hour},
		ReplacesExempt:                  true,
	}
	names := []string{"primary"}
	if c.backup {
		names = append(names, "backup")
	}
	var cas []acme.CA
	for _, name := range names {
		a := startCA(t, name, c.clock, d, quiet, newDice(1), limits)
		a.calm, a.manners, a.front = true, c.manners, c.front(a)
		if name == "primary" {
			a.rejects = c.resultAt(atValidation)
			if deny := c.resultAt(atIssuance); deny != nil {
				a.denies = func() any { return deny("") }
			}
		}
		c.cas, cas = append(c.cas, a), append(cas, a.configure(limits))
	}
	governor, err := acme.NewGovernor(acme.GovernorConfig{Redis: l.client, CAs: cas,
		Now: c.clock.Now, Timeout: 10 * time.Second})
	c.must(err)
	c.engine, err = acme.New(acme.Config{CAs: cas, Accounts: l.store, Sealer: l.sealer,
		Now: c.clock.Now, Sleep: c.clock.sleep})
	c.must(err)
	c.service, err = lifecycle.New(lifecycle.Config{Store: l.store, Zone: "acme.example.net",
		TargetKey: []byte("0123456789abcdef"), Sealer: l.sealer, Issuer: watchedIssuer{c.engine, c},
		Governor: governor, Doctor: d, Now: c.clock.Now, SweepSpread: -1,
		Rand:    func() float64 { return 0.5 },
		Visible: func(context.Context, string, []string) error { return nil }})
	c.must(err)
	o, err := c.service.CreateOrganization(c.ctx, controlplane.System("test"),
		lifecycle.NewOrganization{Name: "Matrix", Tier: controlplane.TierAgency})
	c.must(err)
	c.org = o.ID
}

// manners returns how the CAs treat an order: validation takes a second, and issuance two, as at
// Let's Encrypt. If the fault is at a read of the order before the CSR is sent, validation takes so
// long that another run reads the order. Of several names, one lags and one is valid already.
func (c *cell) manners(*order) manner {
	m := manner{validates: time.Second, issues: 2 * time.Second}
	if c.stage == atOrder {
		m = manner{validates: 40 * time.Second, issues: 2 * time.Second, pause: 20 * time.Second}
	}
	if c.several {
		m.lagging, m.lags, m.known = cellName, 8*time.Second, knownName
	}
	return m
}
