package soak

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

const (
	cellName = "cell.example"
	// The other names of an order of several names: the first authorization lags, the fault
	// concerns only this one, and the third is valid from an earlier order.
	hitName   = "www." + cellName
	knownName = "other.example"
	// maxRuns is how many runs of jobs a cell can take. With growing pauses, it takes far fewer.
	maxRuns = 300
	// idleLeap is how far the clock moves at first if no job is due. Each leap is twice as long as
	// the one before, up to maxLeap.
	idleLeap = 15 * time.Minute
	maxLeap  = 4 * time.Hour
	// collecting is how long it may take until the certificate of an order that was set aside is
	// stored.
	collecting = 25 * time.Hour
)

// situation is the certificate whose order meets the fault.
type situation string

const (
	first   situation = "first certificate"    // a person waits for it
	urgent  situation = "2 hours until expiry" // renewal
	relaxed situation = "30 days until expiry" // renewal
)

// coordinates identify a cell of the matrix.
type coordinates struct {
	stage     stage
	harm      harm
	often     often
	backup    bool // a second CA works
	situation situation
	several   bool // the order is for several names with different targets
}

func (c coordinates) String() string {
	other := "alone"
	if c.backup {
		other = "backup"
	}
	situation := string(c.situation)
	if c.several {
		situation += " of several names"
	}
	return strings.Join([]string{situation, string(c.stage), c.harm.name, string(c.often),
		other}, "/")
}

// cell runs one order with one fault, on its own clock.
type cell struct {
	coordinates
	lane *lane
	ctx  context.Context

	clock   *clock
	cas     []*ca
	service *lifecycle.Service
	engine  *acme.Engine
	org, id string

	mu     sync.Mutex // guards the counts of requests: CAs are asked at the same time
	armed  bool
	left   int // how often the fault still occurs; -1 for forever
	hits   int // how often it occurred
	since  time.Time
	runs   int
	idle   time.Duration // the next leap without a job
	swept  time.Time
	faults []string // what is wrong with the product
	kinds  []string // their kinds
	ended  bool     // nothing more can be learned
	trace  []string // a line per run of a job

	// the current run
	counts map[string]int             // requests by order
	orders map[string]map[string]bool // orders by CA
	order  string

	result result
}

// result is measured in a cell.
type result struct {
	took     time.Duration // from the fault to the certificate
	requests int           // the most per order and run
	dead     bool
}

// strike reports whether the fault occurs now, and counts it.
func (c *cell) strike() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.armed || c.left == 0 {
		return false
	}
	c.hits++
	if c.left > 0 {
		c.left--
	}
	return true
}

// front counts the requests, and injects the fault at the first CA.
func (c *cell) front(a *ca) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			at := a.stageOf(r)
			c.mu.Lock()
			if at == atDirectory && c.stage != atDirectory {
				c.counts[a.name+" "]++ // a check of the DNS may fetch it during a run, too
			} else {
				c.counts[a.name+" "+c.order]++
			}
			c.mu.Unlock()
			if a.name == "primary" && at == c.stage && c.concerns(a.nameOf(r)) && c.strike() {
				c.harm.do(&exchange{a, w, r, next, at})
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// concerns reports whether the fault can occur for a name, which is "" for the whole order.
func (c *cell) concerns(name string) bool { return !c.several || name == "" || name == hitName }

// resultAt returns the function that reports a problem in an object, if the step is such a result.
func (c *cell) resultAt(at stage) func(name string) any {
	if c.stage != at {
		return nil
	}
	return func(name string) any {
		if c.concerns(name) && c.strike() {
			return c.harm.problem
		}
		return nil
	}
}

// wrong records a fault of the product, each kind once.
func (c *cell) wrong(kind, format string, args ...any) {
	if !slices.Contains(c.kinds, kind) {
		c.kinds = append(c.kinds, kind)
		at := c.clock.Now().Sub(c.since).Round(time.Second)
		c.faults = append(c.faults, fmt.Sprintf("%s: after %s: ", kind, at)+
			fmt.Sprintf(format, args...))
	}
}

// play runs the cell.
func (c *cell) play() {
	c.since = c.clock.Now()
	c.add()
	if c.situation != first {
		c.untilRenewal()
	}
	if c.ended {
		return
	}
	c.since, c.armed = c.clock.Now(), true
	c.left = map[often]int{once: 1, twice: 2, forever: -1}[c.often]
	switch {
	case c.pausedByCA():
		c.sitOut()
	case c.backup || c.often != forever && c.harm.kind != "paused":
		c.toCertificate(c.since.Add(c.bound()))
	default:
		c.endure()
	}
	if c.hits == 0 {
		c.wrong("vacuous", "the fault did not occur")
	}
	if !c.ended && c.often != forever {
		c.collect()
	}
}

// more returns the domain's additional names.
func (c *cell) more() []string {
	if c.several {
		return []string{hitName, "*." + knownName}
	}
	return nil
}

// add adds the domain, whose delegations work.
func (c *cell) add() {
	d, err := c.service.AddDomain(c.ctx, controlplane.System("customer"), c.org,
		lifecycle.NewDomain{Name: cellName, Options: controlplane.Options{AutoIssue: true,
			AutoRenew: true, Profile: "classic", AdditionalNames: c.more()}})
	c.must(err)
	c.id = d.ID
	c.cas[0].dns.delegate(d)
}

// untilRenewal issues a certificate without a fault, and moves the clock to its renewal.
func (c *cell) untilRenewal() {
	c.toCertificate(c.since.Add(time.Hour))
	d := c.domain()
	if d.ExpiresAt == nil {
		return
	}
	left := 2 * time.Hour
	if c.situation == relaxed {
		left = 30 * day
	}
	c.clock.set(d.ExpiresAt.Add(-left))
	c.sweep()
}

// toCertificate runs jobs until the domain has a certificate that was issued after the fault.
func (c *cell) toCertificate(until time.Time) {
	for !c.ended && !c.issued() {
		if !c.advance(until) {
			d := c.domain()
			c.ended = true
			c.wrong("late", "no certificate after %s: %s %s, %s", until.Sub(c.since), d.Status,
				d.StatusReason, shown(d))
			return
		}
	}
	c.result.took = c.clock.Now().Sub(c.since)
}

// pausedByCA reports whether the only CA stated a limit's end that is weeks ahead, and no expiry
// forces an attempt before it.
func (c *cell) pausedByCA() bool {
	return !c.backup && c.situation == first && c.often != forever && c.harm.name == monthLimit
}

// sitOut runs jobs for some hours, and then from the stated end of the limit on.
func (c *cell) sitOut() {
	for range map[often]int{once: 1, twice: 2}[c.often] {
		for until := c.clock.Now().Add(fortune); !c.ended && !c.issued() && c.advance(until); {
		}
		c.clock.set(c.clock.Now().Add(30 * day))
		c.lane.redis.FastForward(30 * day)
	}
	c.toCertificate(c.clock.Now().Add(25 * time.Hour))
}

// endure runs jobs while the only CA has the fault, and then until the certificate arrives.
func (c *cell) endure() {
	healed := c.since.Add(fortune)
	if c.situation == urgent {
		healed = c.since.Add(time.Hour)
	}
	for !c.ended && !c.issued() && c.advance(healed) {
	}
	if c.issued() || c.ended {
		return // the order needs no such request
	}
	if c.clock.Now().Before(healed) {
		c.clock.set(healed)
	}
	c.checkShown(true)
	c.left = 0
	if c.harm.kind == "paused" || c.customers() && c.nextJob() == nil {
		c.request()
	}
	until := healed.Add(25 * time.Hour)
	if c.situation == relaxed {
		until = healed.Add(8 * day)
	}
	c.toCertificate(until)
}

// request is what the customer does after fixing the cause. A pause always needs it.
func (c *cell) request() {
	ask := c.service.RequestIssue
	if c.situation != first {
		ask = c.service.RequestRenew
	}
	_, _, err := ask(c.ctx, controlplane.System("customer"), c.org, c.id)
	c.must(err)
}

// collect runs jobs until every certificate that a CA issued is stored.
func (c *cell) collect() {
	until := c.clock.Now().Add(collecting)
	for {
		missing := c.uncollected()
		if missing == "" {
			return
		}
		if c.ended || !c.advance(until) {
			c.wrong("lost", "issued and never stored: %s", missing)
			return
		}
	}
}

// uncollected returns the CA that issued more certificates than are stored, or "".
func (c *cell) uncollected() string {
	for _, a := range c.cas {
		var stored int
		c.must(c.lane.own.QueryRow(c.ctx, `SELECT count(*) FROM certificates WHERE ca = $1`,
			a.name).Scan(&stored))
		if a.tally.issued > stored {
			return fmt.Sprintf("%d of %d of %s", a.tally.issued-stored, a.tally.issued, a.name)
		}
	}
	return ""
}

// job is a row of an open job.
type job struct {
	ID         string
	Generation int
	RunAt      time.Time
	Queue      controlplane.Queue
	Type       controlplane.JobType
	Reason     string
}

// nextJob returns the open job that is due first, or nil.
func (c *cell) nextJob() *job {
	rows, err := c.lane.own.Query(c.ctx,
		`SELECT id, generation, run_at, queue, type, reason FROM jobs WHERE status IN ('queued', 'running') ORDER BY run_at LIMIT 1`)
	c.must(err)
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[job])
	c.must(err)
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// advance runs the next job, at its time, or moves the clock without one. It returns false
// without a run if the next job is due after until.
func (c *cell) advance(until time.Time) bool {
	now := c.clock.Now()
	j := c.nextJob()
	if j == nil || j.RunAt.Sub(now) > idleLeap {
		if j != nil {
			c.checkWait(j)
		}
		if !now.Before(until) {
			return false
		}
		next := earlier(until, now.Add(c.idle))
		c.idle = min(2*c.idle, maxLeap)
		if j == nil || j.RunAt.After(next) {
			c.leap(next)
			return true
		}
	}
	c.idle = idleLeap
	if j.RunAt.After(until) {
		return false
	}
	c.checkWait(j)
	if now := c.clock.Now(); j.RunAt.After(now) {
		c.leap(j.RunAt)
	}
	c.run(j)
	return true
}

// leap moves the clock, and sweeps every now and then.
func (c *cell) leap(to time.Time) {
	c.lane.redis.FastForward(to.Sub(c.clock.Now()))
	c.clock.set(to)
	if to.Sub(c.swept) >= idleLeap-time.Minute {
		c.sweep()
	}
}

func (c *cell) sweep() {
	c.swept = c.clock.Now()
	for _, fn := range sweepsOf(c.service) {
		_, err := fn(c.ctx)
		c.must(err)
	}
}

// run runs a job, and checks what it shows.
func (c *cell) run(j *job) {
	if c.runs++; c.runs > maxRuns {
		c.ended = true
		c.wrong("storm", "more than %d runs of jobs", maxRuns)
		return
	}
	c.counts, c.orders, c.order = map[string]int{}, map[string]map[string]bool{}, ""
	at := c.clock.Now().Sub(c.since).Round(time.Second)
	err := c.service.RunJob(c.ctx, j.ID, j.Generation)
	c.trace = append(c.trace, fmt.Sprintf("after %s: %s: %v, %v requests", at, j.Type, err,
		c.counts))
	c.checkRun(j, err)
	c.checkShown(false)
}

// issued reports whether a certificate was stored after the fault.
func (c *cell) issued() bool {
	var found bool
	c.must(c.lane.own.QueryRow(c.ctx,
		`SELECT EXISTS (SELECT FROM domains d JOIN certificates c ON c.id = d.certificate_id WHERE c.created_at >= $1)`,
		c.since).Scan(&found))
	return found
}

func (c *cell) domain() *controlplane.Domain {
	d, err := c.lane.store.Domain(c.ctx, c.org, c.id)
	c.must(err)
	return d
}

// must ends the cell after an error that no fault explains.
func (c *cell) must(err error) {
	if err != nil {
		panic(broken{err})
	}
}

type broken struct{ error }

// watchedIssuer notes which order runs.
type watchedIssuer struct {
	*acme.Engine
	cell *cell
}

// Run implements lifecycle.Issuer.
func (i watchedIssuer) Run(
	ctx context.Context, o *controlplane.Order, j controlplane.Journal,
) (*controlplane.Certificate, error) {
	c := i.cell
	if c.orders[o.CA] == nil {
		c.orders[o.CA] = map[string]bool{}
	}
	c.orders[o.CA][o.ID], c.order = true, o.ID
	return i.Engine.Run(ctx, o, j)
}
