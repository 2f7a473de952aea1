package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/cmd/program"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/queue"
)

// stopPatience is the time limit for stopping services.
const stopPatience = 15 * time.Second

// stores are a durable Postgres and a Redis that writes its append-only file every second, as in
// `dcvaas dev`.
type stores struct {
	postgres *devstack.Postgres
	redis    *devstack.Redis
}

func (b *bench) startStores(name string) (*stores, error) {
	s := new(stores)
	var err error
	if s.postgres, err = devstack.StartPostgres(b.ctx,
		devstack.PostgresConfig{Dir: filepath.Join(b.dir, name, "postgres")}); err != nil {
		return nil, err
	}
	if s.redis, err = devstack.StartRedis(b.ctx,
		devstack.RedisConfig{Dir: filepath.Join(b.dir, name, "redis")}); err == nil {
		err = b.noteVersions(s.postgres, s.redis)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *stores) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	if s.redis != nil {
		_ = s.redis.Stop(ctx)
	}
	_ = s.postgres.Stop(ctx)
}

// startDev starts the whole system on free ports, with a durable Postgres and production logging,
// which is discarded. configure can override the configuration.
func (b *bench) startDev(
	name string, work bool, configure ...func(*program.Config),
) (*program.Dev, error) {
	d, err := program.StartDev(b.ctx, program.DevConfig{Dir: b.path(name),
		FreePorts: true, NoWork: !work,
		Configure: func(c *program.Config) {
			c.LogFormat = "json"
			c.HTTP.RateLimits = false // one organization sends all calls
			for _, f := range configure {
				f(c)
			}
		}})
	if err != nil {
		return nil, err
	}
	if err := b.noteVersions(d.Postgres, d.Redis); err != nil {
		stopDev(d)
		return nil, err
	}
	return d, nil
}

// path returns the directory of a name: in that for all files, unless it is absolute.
func (b *bench) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(b.dir, name)
}

func stopDev(d *program.Dev) {
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	d.Stop(ctx)
}

// noteVersions records the servers' versions.
func (b *bench) noteVersions(pg *devstack.Postgres, rd *devstack.Redis) error {
	conn, err := pgx.Connect(b.ctx, pg.DSN())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(b.ctx) }()
	if err := conn.QueryRow(b.ctx,
		`SELECT split_part(current_setting('server_version'), ' ', 1)`).Scan(
		&b.table.Machine.Postgres); err != nil {
		return err
	}
	if rd.Embedded() {
		b.table.Machine.Redis = "in-process"
		return nil
	}
	options, err := redis.ParseURL(rd.URL())
	if err != nil {
		return err
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	info, err := client.Info(b.ctx, "server").Result()
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, "redis_version:"); ok {
			b.table.Machine.Redis = strings.TrimSpace(v)
		}
	}
	return err
}

// tenant is a separate, migrated database with one organization, and a lifecycle service whose
// doctor returns immediately, so that only the cost of jobs is measured.
type tenant struct {
	dsn       string
	db        *pgx.Conn // for queries without a method of the store
	store     *postgres.Store
	lifecycle *lifecycle.Service
	orgID     string
}

func (b *bench) newTenant(s *stores, database string, d lifecycle.Doctor) (*tenant, error) {
	if err := createDatabase(b.ctx, s.postgres.DSN(), database); err != nil {
		return nil, err
	}
	dsn, err := url.Parse(s.postgres.DSN())
	if err != nil {
		return nil, err
	}
	dsn.Path = "/" + database
	t := &tenant{dsn: dsn.String()}
	if t.store, err = postgres.Open(b.ctx, postgres.Config{DSN: t.dsn}); err != nil {
		return nil, err
	}
	if err := t.open(b.ctx, d); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *tenant) open(ctx context.Context, d lifecycle.Doctor) error {
	if _, err := t.store.Migrate(ctx); err != nil {
		return err
	}
	var err error
	if t.db, err = pgx.Connect(ctx, t.dsn); err != nil {
		return err
	}
	t.lifecycle, err = lifecycle.New(lifecycle.Config{Store: t.store, Zone: benchZone,
		TargetKey: make([]byte, 32), Doctor: d, Issuer: noIssuer{}, SweepSpread: -1})
	if err != nil {
		return err
	}
	limit := 10_000_000
	org, err := t.lifecycle.CreateOrganization(ctx, controlplane.System("bench"),
		lifecycle.NewOrganization{Name: "Bench", Tier: controlplane.TierAgency,
			DomainLimit: &limit})
	if err == nil {
		t.orgID = org.ID
	}
	return err
}

// startQueue runs the queue of one worker process on a Redis database until stop is called. It does
// not sweep automatically.
func (t *tenant) startQueue(ctx context.Context, redisURL string) (stop func(), err error) {
	q, err := queue.New(queue.Config{Store: t.store, Lifecycle: t.lifecycle, RedisURL: redisURL,
		SweepEvery: 24 * time.Hour})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = q.Run(ctx)
	}()
	return func() { cancel(); <-done }, nil
}

// noIssuer is a lifecycle.Issuer without CAs. Its other methods are never called.
type noIssuer struct{ lifecycle.Issuer }

// CAs implements lifecycle.Issuer.
func (noIssuer) CAs() []string { return nil }

func (noIssuer) Identities(context.Context) []controlplane.CAIdentity { return nil }

func (t *tenant) close() {
	if t.db != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
		defer cancel()
		_ = t.db.Close(ctx)
	}
	t.store.Close()
}

func createDatabase(ctx context.Context, dsn, name string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	return err
}

// redisDB returns the URL of one of the server's databases.
func (s *stores) redisDB(n int) string { return fmt.Sprintf("%s/%d", s.redis.URL(), n) }
