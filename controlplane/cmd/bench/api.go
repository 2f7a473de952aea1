package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/cmd/program"
)

// apiConns is the number of concurrent connections.
const apiConns = 32

// barePool is the limit's number of connections to Postgres, the same as the store's.
const barePool = "&pool_max_conns=12"

// apiRequests measures requests per second over keep-alive connections. The limit is a pair of
// handwritten handlers on mux and pgx that send the same SQL to Postgres.
func apiRequests(b *bench, items []string) error {
	dev, err := b.startDev("api", false) // no workers: the jobs of new domains stay queued
	if err != nil {
		return err
	}
	defer stopDev(dev)
	pool, err := pgxpool.New(b.ctx, dev.Postgres.DSN()+barePool)
	if err != nil {
		return err
	}
	defer pool.Close()
	bare, err := startBareAPI(pool)
	if err != nil {
		return err
	}
	defer bare.stop()
	endpoint, err := url.Parse(dev.Env()["DCVAAS_ENDPOINT"])
	if err != nil {
		return err
	}
	a := &apiCaller{b: b, ours: endpoint.Host, limit: bare.addr(), token: dev.Token}
	if slices.Contains(items, "create") {
		quiet, stop, err := b.startQuietAPI(dev)
		if err != nil {
			return err
		}
		defer stop()
		a.quiet = quiet
	}
	if a.domain, err = a.createOne(); err != nil {
		return err
	}
	for _, item := range items {
		measure := a.get
		if item == "create" {
			measure = a.create
		}
		if err := measure(); err != nil {
			return err
		}
	}
	b.table.note(
		"api: %d keep-alive connections from the same process, Postgres durable; limit: handwritten handlers on mux and pgx with the same SQL (token, then the domain, or the statement that stores domain, job, and audit entry and counts the organization's domains), on the same tables; without NOTIFY: the same handler on tables with disabled triggers. CPU includes client and server, but not Postgres.", apiConns)
	return nil
}

// startQuietAPI starts the limit on a separate database with the same token and with triggers
// disabled, so that changes cause no notifications.
func (b *bench) startQuietAPI(dev *program.Dev) (addr string, stop func(), err error) {
	t, err := b.newTenant(&stores{postgres: dev.Postgres}, "quiet", &instantDoctor{})
	if err != nil {
		return "", nil, err
	}
	defer t.close()
	err = t.store.AddToken(b.ctx,
		&controlplane.Token{ID: controlplane.NewID(controlplane.PrefixToken), OrgID: t.orgID,
			Name: "bench", Scopes: controlplane.Scopes(), CreatedAt: time.Now()},
		controlplane.HashSecret(dev.Token))
	if err != nil {
		return "", nil, err
	}
	if _, err := t.db.Exec(b.ctx,
		`ALTER TABLE domains DISABLE TRIGGER USER; ALTER TABLE jobs DISABLE TRIGGER USER`); err != nil {
		return "", nil, err
	}
	pool, err := pgxpool.New(b.ctx, t.dsn+barePool)
	if err != nil {
		return "", nil, err
	}
	bare, err := startBareAPI(pool)
	if err != nil {
		pool.Close()
		return "", nil, err
	}
	return bare.addr(), func() { bare.stop(); pool.Close() }, nil
}

// apiCaller sends the same requests to our API and to the limit.
type apiCaller struct {
	b           *bench
	ours, limit string // host:port
	quiet       string // the limit on tables without triggers; empty if not measured
	token       string
	domain      string // ID of the domain that is read
	serial      atomic.Int64
}

func (a *apiCaller) get() error {
	raw := []byte("GET /api/domains/" + a.domain +
		" HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer " + a.token + "\r\n\r\n")
	return a.measure("authenticated GET of a domain", http.StatusOK, ratioAtLeast(0.8),
		func() []byte { return raw }, "")
}

func (a *apiCaller) create() error {
	return a.measure("create domain", http.StatusCreated, ratioAtLeast(0.7), a.newDomain, a.quiet)
}

// newDomain returns a request that adds a new domain.
func (a *apiCaller) newDomain() []byte {
	body := fmt.Sprintf(`{"name":"n%d.example.com"}`, a.serial.Add(1))
	return fmt.Appendf(nil,
		"POST /api/domains HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		a.token, len(body), body)
}

// measure calls our API and the limit in alternating rounds, and quiet after the limit if it is
// set.
func (a *apiCaller) measure(
	what string, status int, want target, request func() []byte, quiet string,
) error {
	length := pick(a.b.options.quick, time.Second, 1500*time.Millisecond)
	var rate, took, cpu [3][]float64
	turn := func(side int, addr string) func(int) error {
		return func(int) error {
			before := cpuTime()
			r, err := httpLoad(a.b.ctx, addr, apiConns, length, status, request)
			if err != nil {
				return err
			}
			used := cpuTime() - before
			rate[side] = append(rate[side], float64(len(r.took))/r.elapsed.Seconds())
			cpu[side] = append(cpu[side], float64(used.Microseconds())/float64(len(r.took)))
			took[side] = append(took[side], milliseconds(r.took)...)
			return nil
		}
	}
	limit := turn(1, a.limit)
	if quiet != "" {
		limit = func(round int) error {
			if err := turn(1, a.limit)(round); err != nil {
				return err
			}
			return turn(2, quiet)(round)
		}
	}
	if err := a.b.interleave("api/"+strings.Fields(what)[0], turn(0, a.ours), limit); err != nil {
		return err
	}
	t := &a.b.table
	t.add(what, "/s", rate[0], rate[1], want)
	if quiet != "" {
		t.add(what+", beside tables that notify nobody", "/s", rate[0], rate[2], target{})
	}
	t.add(what+", CPU", "µs", cpu[0], cpu[1], target{})
	t.addPooled(what+", p50", 50, took[0], took[1], target{})
	t.addPooled(what+", p99", 99, took[0], took[1], target{})
	return nil
}

// createOne adds a domain to both databases and returns its ID.
func (a *apiCaller) createOne() (string, error) {
	var id string
	for _, addr := range []string{a.ours, a.limit} {
		c, err := dialHTTP(a.b.ctx, addr)
		if err != nil {
			return "", err
		}
		status, body, err := c.call(a.newDomain(), true)
		c.close()
		if err == nil && status != http.StatusCreated {
			err = fmt.Errorf("POST /api/domains: status %d: %s", status, body)
		}
		if err != nil {
			return "", err
		}
		var d struct{ ID string }
		if err := json.Unmarshal(body, &d); err != nil {
			return "", err
		}
		id = d.ID
	}
	// Both sides must find the domain that the limit created.
	get := []byte("GET /api/domains/" + id + " HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer " +
		a.token + "\r\n\r\n")
	var sizes []int
	for _, addr := range []string{a.ours, a.limit} {
		c, err := dialHTTP(a.b.ctx, addr)
		if err != nil {
			return "", err
		}
		status, body, err := c.call(get, true)
		c.close()
		if err != nil || status != http.StatusOK {
			return "", fmt.Errorf("GET /api/domains: status %d: %s (%w)", status, body, err)
		}
		sizes = append(sizes, len(body))
	}
	if slices.Max(sizes) > 3*slices.Min(sizes) {
		return "", fmt.Errorf("the response sizes %d differ too much for a comparison", sizes)
	}
	return id, nil
}
