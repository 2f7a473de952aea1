package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/cmd/program"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

const (
	revocationPace     = 60                     // orders per second that the CA allows
	revocationPause    = 200 * time.Millisecond // between two new domains
	revocationPatience = 20 * time.Minute
)

// massRevocation is a CA that suggests the immediate renewal of every certificate (RFC 9773).
type massRevocation struct {
	*pipeline
	n    int // certificates
	idle int // new domains on the idle system
	busy int // new domains, at most, while the certificates are renewed
}

// revocation measures the renewal of all certificates of a CA before a mass revocation: its rate,
// its order, and the time to certificate of new domains meanwhile.
func revocation(b *bench, _ []string) error {
	dev, err := b.startDev("revocation", true, func(c *program.Config) {
		c.Work.SweepEvery, c.Work.SweepSpread = time.Second, 0
		c.ACME.CAs = paced(c.ACME.CAs)
	})
	if err != nil {
		return err
	}
	defer stopDev(dev)
	p, err := b.newPipeline(dev)
	if err != nil {
		return err
	}
	defer p.close()
	m := &massRevocation{pipeline: p, n: pick(b.options.quick, 300, 10_000),
		idle: pick(b.options.quick, 20, 100), busy: pick(b.options.quick, 20, 400)}
	b.say("revocation: issuing %s certificates", thousands(fmt.Sprint(m.n)))
	if err := m.issueAll(); err != nil {
		return err
	}
	b.say("revocation: adding domains on the idle system")
	idle, err := m.newDomains(m.idle, nil)
	if err != nil {
		return err
	}
	b.say("revocation: setting the CA's renewal windows")
	letSweep, err := m.holdSweep()
	if err != nil {
		return err
	}
	defer letSweep()
	if err := m.announce(); err != nil {
		return err
	}
	b.say("revocation: renewing them")
	perSecond, busy, err := m.renewAll(letSweep)
	if err != nil {
		return err
	}
	displaced, err := m.displaced()
	if err != nil {
		return err
	}
	what := "mass revocation of " + thousands(fmt.Sprint(m.n))
	b.table.add(what+": renewed", "/s", []float64{perSecond}, []float64{revocationPace}, target{})
	b.table.addPooled(what+": new domain → active meanwhile, p50", 50, busy, idle, target{})
	b.table.addPooled(what+": new domain → active meanwhile, p95", 95, busy, idle, target{})
	b.table.add(what+": places from the order of urgency, p95",
		"", []float64{percentile(displaced, 95)}, nil, target{})
	b.table.note(
		"mass revocation: one round. Pebble issued all certificates before; its renewal information then suggests the renewal of each, and each is renewed once, with an order that names it; limit of the rate: the governor's configured pace of %d orders per second. New domains: one at a time, %s apart, from POST /api/domains to active, %d of them during the renewals; limit: the same on the idle system.", revocationPace, revocationPause, len(busy))
	return nil
}

// paced configures the pace for the first CA and removes the others, because orders with a long
// delay would use them.
func paced(cas string) string {
	var list []map[string]any
	if err := json.Unmarshal([]byte(cas), &list); err != nil || len(list) == 0 {
		return cas
	}
	list[0]["limits"] = map[string]any{"pace": fmt.Sprintf("%d/1s", revocationPace)}
	out, _ := json.Marshal(list[:1])
	return string(out)
}

const calledFor = `id IN (SELECT id FROM asked)` // domains for which the CA suggests a renewal

// issueAll stores the domains with their jobs, and waits for the certificates.
func (m *massRevocation) issueAll() error {
	if _, err := m.db.Exec(m.ctx, `
		INSERT INTO domains (id, org_id, name, cname_target, status)
		SELECT 'dom_' || lpad(i::text, 26, '0'), $1, 'revoked' || i || '.example.com', translate(md5(i::text), '0189', 'ghij'), 'pending_cname' FROM generate_series(1, $2::int) i`, m.dev.OrgID, m.n); err != nil {
		return err
	}
	rows, err := m.db.Query(m.ctx,
		`SELECT name, cname_target FROM domains WHERE name LIKE 'revoked%'`)
	if err != nil {
		return err
	}
	var name, target string
	if _, err := pgx.ForEachRow(rows, []any{&name, &target}, func() error {
		return m.dev.Playground.Set(rules.ChallengeName(name),
			"CNAME", []string{target + "." + m.dev.Config.Zone}, 60)
	}); err != nil {
		return err
	}
	if _, err := m.db.Exec(m.ctx, `
		INSERT INTO jobs (id, org_id, domain_id, type, slot, queue)
		SELECT 'job_' || substr(id, 5), org_id, id, 'start_issuance', 'certificate', 'bulk' FROM domains WHERE name LIKE 'revoked%'`); err != nil {
		return err
	}
	return m.wait("the certificates",
		`SELECT count(*) FROM domains WHERE certificate_id <> '' AND name LIKE 'revoked%'`, m.n)
}

// wait waits until the query returns the wanted number.
func (m *massRevocation) wait(what, sql string, want int) error {
	n := 0
	for deadline := time.Now().Add(revocationPatience); time.Now().Before(deadline); time.Sleep(
		50 * time.Millisecond) {
		if err := m.db.QueryRow(m.ctx, sql).Scan(&n); err != nil || n == want {
			return err
		}
	}
	return fmt.Errorf("waiting for %s: got %d of %d before the timeout", what, n, want)
}

// newDomains adds n domains one by one, or until done is closed. It returns the milliseconds until
// each was active.
func (m *massRevocation) newDomains(n int, done <-chan struct{}) ([]float64, error) {
	if err := m.delegate(n, 1); err != nil {
		return nil, err
	}
	var took []float64
	for _, d := range m.domains {
		select {
		case <-done:
			return took, nil
		case <-time.After(revocationPause):
		}
		start := time.Now()
		if _, err := m.addAndWait(m.ctx, d.name); err != nil {
			return nil, err
		}
		took = append(took, ms(time.Since(start)))
	}
	return took, nil
}

// holdSweep blocks the sweep by holding its lease, until the returned function is called.
func (m *massRevocation) holdSweep() (let func(), err error) {
	set := func(expires string) error {
		_, err := m.db.Exec(m.ctx, `INSERT INTO leases (name, holder, expires_at) VALUES ($1, 'bench', $2)
			ON CONFLICT (name) DO UPDATE SET holder = 'bench', expires_at = $2`,
			lifecycle.SweepLease, expires)
		return err
	}
	return func() { _ = set("-infinity") }, set("infinity")
}

// announce sets renewal windows at the CA, each a second after the previous one, and waits until
// they have been fetched.
func (m *massRevocation) announce() error {
	// Pebble does not recognize a serial number whose DER starts with a zero byte (1 in 256).
	if _, err := m.db.Exec(m.ctx, `
		CREATE TABLE asked AS SELECT d.id, d.certificate_id, c.chain_pem, c.leaf, row_number() OVER (ORDER BY md5(d.id)) AS place
		FROM certificates c JOIN domains d ON d.certificate_id = c.id
		WHERE d.name LIKE 'revoked%' AND split_part(c.ari_id, '.', 2) !~ '^A[A-P]'`); err != nil {
		return err
	}
	rows, err := m.db.Query(m.ctx, `SELECT coalesce(E'-----BEGIN CERTIFICATE-----\n' || encode(leaf, 'base64') ||
		E'\n-----END CERTIFICATE-----\n', chain_pem) FROM asked ORDER BY place`)
	if err != nil {
		return err
	}
	chains, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	m.n = len(chains)
	client, past := m.dev.Primary.HTTPClient(), time.Now().Add(-24*time.Hour)
	for i, chain := range chains { // sequentially, because eight concurrent requests hung
		end := past.Add(time.Duration(i) * time.Second)
		if err := m.setWindow(client, chain, end.Add(-time.Millisecond), end); err != nil {
			return err
		}
	}
	for _, sql := range []string{
		// suggestions are ignored in the first hours
		`UPDATE certificates SET not_before = not_before - interval '10 days'`,
		`UPDATE domains SET ari_check_at = now() WHERE ` + calledFor,
	} {
		if _, err := m.db.Exec(m.ctx, sql); err != nil {
			return err
		}
	}
	return m.wait("the renewals", `SELECT count(*) FROM domains WHERE renew_at < now() AND `+
		calledFor, m.n)
}

// setWindow sets the renewal window that the CA suggests for a certificate.
func (m *massRevocation) setWindow(client *http.Client, chain string, start, end time.Time) error {
	window, err := json.Marshal(map[string]any{
		"suggestedWindow": map[string]any{"start": start.UTC(), "end": end.UTC()}})
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"Certificate": chain, "ARIResponse": string(window)})
	if err != nil {
		return err
	}
	resp, err := client.Post(m.dev.Primary.ManagementURL()+"/set-renewal-info/",
		"application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("POST /set-renewal-info/: %s: %s", resp.Status, why)
	}
	return nil
}

// renewAll lets the sweep run, and adds new domains until all certificates are renewed.
func (m *massRevocation) renewAll(letSweep func()) (perSecond float64, busy []float64, err error) {
	start, done := time.Now(), make(chan struct{})
	letSweep()
	var g errgroup.Group
	g.Go(func() (err error) {
		busy, err = m.newDomains(m.busy, done)
		return err
	})
	err = m.wait("the renewals",
		`SELECT count(*) FROM domains d JOIN asked USING (id) WHERE d.certificate_id <> asked.certificate_id`, m.n)
	perSecond = float64(m.n) / time.Since(start).Seconds()
	close(done)
	return perSecond, busy, errors.Join(err, g.Wait())
}

// displaced returns the distance of each renewal's place from its place by urgency. It returns an
// error if a certificate was renewed twice.
func (m *massRevocation) displaced() ([]float64, error) {
	rows, err := m.db.Query(m.ctx, `
		SELECT (asked.place - row_number() OVER (ORDER BY c.created_at))::float8 FROM asked JOIN certificates c ON c.domain_id = asked.id AND c.id <> asked.certificate_id`)
	if err != nil {
		return nil, err
	}
	places, err := pgx.CollectRows(rows, pgx.RowTo[float64])
	if err == nil && len(places) != m.n {
		err = fmt.Errorf("%d renewals for %d certificates", len(places), m.n)
	}
	for i := range places {
		places[i] = math.Abs(places[i])
	}
	return places, err
}
