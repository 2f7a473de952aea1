package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/cmd/program"
)

// pipeline is a customer of the whole system: it creates the CNAMEs, and adds domains and waits for
// them through the API.
type pipeline struct {
	ctx      context.Context
	dev      *program.Dev
	http     *http.Client
	endpoint string
	token    string
	db       *pgx.Conn
	serial   int
	domains  []certificateNames // delegated, for the next round
	ratio    float64            // to the limit, of certificates of one name, 8 at a time
}

// certificateNames are the names of one certificate.
type certificateNames struct {
	name       string
	additional []string
}

// namesOf returns the names of the certificate with a number: n1.example.com, a1.n1.example.com, ….
func namesOf(serial, count int) certificateNames {
	c := certificateNames{name: fmt.Sprintf("n%d.example.com", serial)}
	for i := range count - 1 {
		c.additional = append(c.additional, fmt.Sprintf("a%d.%s", i+1, c.name))
	}
	return c
}

func (c certificateNames) all() []string { return append([]string{c.name}, c.additional...) }

// certificates measures certificates per second at a given concurrency, from the call that adds a
// domain to the response that shows it as active. The limit is the order engine alone.
func certificates(b *bench, items []string) error {
	dev, err := b.startDev("certificates", true)
	if err != nil {
		return err
	}
	defer stopDev(dev)
	p, err := b.newPipeline(dev)
	if err != nil {
		return err
	}
	defer p.close()
	bare, err := startBareOrders()
	if err != nil {
		return err
	}
	defer bare.stop()
	// The first order registers the account and opens persistent connections.
	if err := p.delegate(4, 1); err != nil {
		return err
	}
	if _, _, err := p.issue(4); err != nil {
		return err
	}
	if _, _, err := bare.issue(b.ctx, 4, 4, 1); err != nil {
		return err
	}
	for _, item := range items {
		if err := b.certificatesAtATime(p, bare, item); err != nil {
			return err
		}
	}
	b.table.note(
		"certificates: from POST /api/domains to the response of ?wait= with the active domain, CNAMEs created before; limit: only our order engine (acme.Engine on lego's acme/api: key, CSR, and account are sealed, accounts and journal in memory) with a separate Pebble, same version and settings, TXT answers from memory. CPU is that of this process: program, test CA, playground, and client.")
	b.table.note(
		"CNAME seen → active: from the times in the audit log; limit: one order of only the engine, at the same concurrency.")
	return nil
}

func (b *bench) newPipeline(dev *program.Dev) (*pipeline, error) {
	db, err := pgx.Connect(b.ctx, dev.Postgres.DSN())
	if err != nil {
		return nil, err
	}
	return &pipeline{ctx: b.ctx, dev: dev, db: db, endpoint: dev.Env()["DCVAAS_ENDPOINT"],
		token: dev.Token,
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64},
			Timeout: time.Minute}}, nil
}

func (p *pipeline) close() {
	p.http.CloseIdleConnections()
	_ = p.db.Close(p.ctx)
}

// namesAtATime is the concurrency of the certificates of several names.
const namesAtATime = 8

func (b *bench) certificatesAtATime(p *pipeline, bare *bareOrders, item string) error {
	what, number := "certificates, "+item+" at a time", item
	parallel, names := 0, 1
	count, several := strings.CutPrefix(item, "names-")
	if several {
		what, number = fmt.Sprintf("certificates of %s names, %d at a time", count, namesAtATime), count
	}
	value, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	if parallel = value; several {
		parallel, names = namesAtATime, value
	}
	n := max(pick(b.options.quick, 8, 25), pick(b.options.quick, 3, 5)*parallel)
	if names > 10 {
		n = parallel
	}
	var ours, limit, seen, alone []float64
	var cpu [2][]float64 // of this process
	var database []float64
	used := func(into *[]float64, before time.Duration) {
		*into = append(*into,
			ms(cpuTime()-before)/float64(n))
	}
	err = b.interleave("certificates/"+item,
		func(int) error {
			if err := p.delegate(n, names); err != nil {
				return err
			}
			// Statistics as autovacuum keeps them: it has not visited the new tables yet.
			if _, err := p.db.Exec(p.ctx, "ANALYZE"); err != nil {
				return err
			}
			before, postgres := cpuTime(), p.postgresCPU()
			rate, took, err := p.issue(parallel)
			used(&cpu[0], before)
			database = append(database, ms(p.postgresCPU()-postgres)/float64(n))
			ours, seen = append(ours, rate), append(seen, took...)
			return err
		},
		func(int) error {
			before := cpuTime()
			rate, took, err := bare.issue(b.ctx, n, parallel, names)
			used(&cpu[1], before)
			limit, alone = append(limit, rate), append(alone, took...)
			return err
		})
	if err != nil {
		return err
	}
	var rate, p50, p99 target
	switch {
	case several && p.ratio > 0: // a further name costs at most what it costs in the limit
		rate = ratioAtLeast(p.ratio)
	case several:
	case parallel == 1:
		p50, p99 = atMost(100, "ms"), atMost(300, "ms")
	case parallel == namesAtATime:
		p.ratio = median(ours) / median(limit)
	case parallel == 32:
		rate = ratioAtLeast(0.5)
	}
	b.table.add(what, "/s", ours, limit, rate)
	b.table.add(what+", CPU each", "ms", cpu[0], cpu[1], target{})
	b.table.add(what+", CPU of Postgres each", "ms", database, nil, target{})
	latency := strings.Replace(what, "certificates", "CNAME seen → active", 1)
	b.table.addPooled(latency+", p50", 50, seen, alone, p50)
	b.table.addPooled(latency+", p99", 99, seen, alone, p99)
	return nil
}

// delegate creates the CNAMEs of n new domains with the given number of names each, as the API
// specifies them.
func (p *pipeline) delegate(n, names int) error {
	p.domains = make([]certificateNames, n)
	for i := range p.domains {
		p.serial++
		p.domains[i] = namesOf(p.serial, names)
		for _, name := range p.domains[i].all() {
			if err := p.createCNAME(name); err != nil {
				return err
			}
		}
	}
	time.Sleep(200 * time.Millisecond) // exclude the playground's file write from the measurement
	return nil
}

func (p *pipeline) createCNAME(name string) error {
	var record controlplane.Record
	if _, err := p.call(p.ctx, http.MethodGet, "/api/delegation?name="+url.QueryEscape(name), nil,
		nil, &record); err != nil {
		return err
	}
	return p.dev.Playground.Set(record.Name, record.Type, []string{record.Target}, 60)
}

// issue gets certificates for the delegated domains with limited concurrency. It returns the
// certificates per second, and for each the milliseconds from detection of the CNAME to the active
// domain.
func (p *pipeline) issue(parallel int) (perSecond float64, seen []float64, err error) {
	ids := make([]string, len(p.domains))
	start := time.Now()
	g, ctx := errgroup.WithContext(p.ctx)
	g.SetLimit(parallel)
	for i := range p.domains {
		g.Go(func() (err error) {
			ids[i], err = p.addAndWait(ctx, p.domains[i].name, p.domains[i].additional...)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return 0, nil, err
	}
	perSecond = float64(len(ids)) / time.Since(start).Seconds()
	seen, err = p.sinceSeen(ids)
	return perSecond, seen, err
}

// postgresCPU returns the server's CPU time, or 0 if it is unknown.
func (p *pipeline) postgresCPU() time.Duration {
	used, err := cpuOf(p.dev.Postgres.PID())
	if err != nil {
		return 0
	}
	return used
}

// addedDomain is a domain in an API response.
type addedDomain struct {
	ID           string `json:"id"`
	Status       string `json:"status"`
	StatusReason string `json:"status_reason"`
	etag         string
}

// addAndWait adds a domain, waits until it is active, and returns its ID.
func (p *pipeline) addAndWait(
	ctx context.Context, name string, additional ...string,
) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d, err := p.add(ctx, name, additional...)
	if err != nil {
		return "", err
	}
	return d.ID, p.waitActive(ctx, name, d)
}

func (p *pipeline) add(
	ctx context.Context, name string, additional ...string,
) (*addedDomain, error) {
	d, body := new(addedDomain), map[string]any{"name": name}
	if len(additional) > 0 {
		body["additional_names"] = additional
	}
	var err error
	d.etag, err = p.call(ctx, http.MethodPost, "/api/domains", nil, body, d)
	return d, err
}

// waitActive waits until the domain is active.
func (p *pipeline) waitActive(ctx context.Context, name string, d *addedDomain) (err error) {
	for err == nil && d.Status != string(controlplane.DomainActive) {
		if d.Status == string(controlplane.DomainError) {
			return fmt.Errorf("%s failed: %s", name, d.StatusReason)
		}
		d.etag, err = p.call(ctx, http.MethodGet, "/api/domains/"+d.ID+
			"?wait=20s", http.Header{"If-None-Match": {d.etag}}, nil, d)
	}
	return err
}

// call sends a request and returns the response's ETag.
func (p *pipeline) call(
	ctx context.Context, method, path string, header http.Header, body, into any,
) (etag string, err error) {
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return "", err
		}
		sent = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, p.endpoint+path, sent)
	if err != nil {
		return "", err
	}
	if header != nil {
		r.Header = header
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := p.http.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "", err
	case resp.StatusCode == http.StatusNotModified:
		return resp.Header.Get("ETag"), nil
	case resp.StatusCode >= 300:
		return "", fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, raw)
	}
	return resp.Header.Get("ETag"), json.Unmarshal(raw, into)
}

// sinceSeen reads from the audit log how long each domain took from the detection of its CNAME to
// the stored certificate.
func (p *pipeline) sinceSeen(ids []string) ([]float64, error) {
	rows, err := p.db.Query(p.ctx, `
		SELECT 1000 * extract(epoch FROM min(created_at) FILTER (WHERE action = $3) - min(created_at) FILTER (WHERE action = $2))::float8
		FROM audit_logs WHERE org_id = $1 AND entity_id = ANY($4) GROUP BY entity_id`,
		p.dev.OrgID, controlplane.ActionDNSVerified, controlplane.ActionCertificateIssued, ids)
	if err != nil {
		return nil, err
	}
	took, err := pgx.CollectRows(rows, pgx.RowTo[float64])
	if err == nil && len(took) != len(ids) {
		err = errors.New("the audit log lacks some of the domains")
	}
	return took, err
}
