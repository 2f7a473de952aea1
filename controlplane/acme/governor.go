package acme

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// GovernorConfig is what a Governor is made of. Redis and CAs are needed; the rest has defaults.
type GovernorConfig struct {
	// Redis holds the count, for all workers.
	Redis redis.UniversalClient
	// CAs gives each CA's name its directory and limits. Names with one directory share one count.
	CAs []CA
	// RenewalReserve is the share of new orders per account that only renewals that are due may use. Default 0.25; none where
	// negative.
	RenewalReserve float64
	// OrganizationShare is the share of the rest that one organization has before others. Beyond it, it leaves half of the rest to
	// those that are not. Default 0.25; none has a share where negative.
	OrganizationShare float64
	// ForegroundReserve is the share of the pace that renewals must leave. Default 0.25; none where negative.
	ForegroundReserve float64
	// Margin is the share of every limit that is left unused, of its rate and of its count (rounded down): an order reaches the
	// CA later than it is counted here, and clocks differ. Default 0.02; none where negative.
	Margin float64
	// Prefix begins every key in Redis. Default "dcvaas:quota:".
	Prefix string
	// Timeout bounds what a Redis that does not answer costs an order. Default 500 ms.
	Timeout time.Duration
	// Now tells the time. Default time.Now. Workers whose clocks differ by less than the margin do no harm.
	Now func() time.Time
	// Observe is told every decision, for metrics: err is why Redis could not be asked, where Bypassed is set.
	Observe func(ca string, d controlplane.QuotaDecision, err error)
}

// Governor keeps orders within the limits of CAs, so that these need not refuse any. Its methods may be called from any
// goroutine.
//
// Every limit is a token bucket, as at Let's Encrypt, kept as one number in Redis: the time at which the bucket will be full
// again (the generic cell rate algorithm). Beside it stands a queue, in which those who were told to wait keep their place:
// each is told when the tokens will reach it, so that they come back one by one, as the bucket refills, and nobody who comes
// later goes before them. One script makes one decision over all limits: an order takes from each of them or from none.
//
// Redis is not needed. Without it nothing is counted, and the CA's own refusal is the limit.
type Governor struct {
	cfg GovernorConfig
	cas map[string]governed
}

// governed is what a Governor knows of one CA.
type governed struct {
	prefix string // of its keys; the braces keep them in one slot of a Redis Cluster
	limits Limits
}

// NewGovernor returns a Governor, or an error that names what the configuration lacks. It does not ask Redis for anything.
func NewGovernor(cfg GovernorConfig) (*Governor, error) {
	if cfg.Redis == nil {
		return nil, errors.New("acme: the governor needs Redis")
	}
	cfg.RenewalReserve = share(cfg.RenewalReserve, 0.25)
	cfg.OrganizationShare = share(cfg.OrganizationShare, 0.25)
	cfg.ForegroundReserve = share(cfg.ForegroundReserve, 0.25)
	cfg.Margin = share(cfg.Margin, 0.02)
	cfg.Prefix = cmp.Or(cfg.Prefix, "dcvaas:quota:")
	cfg.Timeout = cmp.Or(cfg.Timeout, 500*time.Millisecond)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, controlplane.QuotaDecision, error) {}
	}
	g := &Governor{cfg: cfg, cas: map[string]governed{}}
	for _, ca := range cfg.CAs {
		limits, _ := DefaultLimits(ca.DirectoryURL)
		if ca.Limits != nil {
			limits = *ca.Limits
		}
		g.cas[ca.Name] = governed{prefix: cfg.Prefix + "{" + digest(ca.DirectoryURL) + "}:", limits: limits}
	}
	return g, nil
}

// share returns a share between 0 and 0.9.
func share(configured, standard float64) float64 {
	return min(max(cmp.Or(configured, standard), 0), 0.9)
}

// Reserve counts an order that is about to be placed against every limit of its CA, or against none of them and says when to
// ask again. It is asked before the order is stored; an order that is resumed was counted already.
//
// Its error is that of ctx, or that of a CA that is not configured; a Redis that is away is no error, but Bypassed.
func (g *Governor) Reserve(ctx context.Context, q controlplane.QuotaRequest) (controlplane.QuotaDecision, error) {
	ca, ok := g.cas[q.CA]
	if !ok {
		return controlplane.QuotaDecision{}, fmt.Errorf("acme: no limits can be kept for %q, which is not configured", q.CA)
	}
	now, buckets := g.cfg.Now(), g.buckets(ca, q)
	share, orders, leave := g.share(ca, q, &buckets)
	got, err := g.eval(ctx, reserveScript, ca.keys(q, buckets), append([]any{
		now.UnixMicro(), q.Waiter, int64(cmp.Or(q.Patience, forever) / time.Microsecond), rand.Float64(),
		orderMemory.Milliseconds(), queueGrace.Microseconds(), ca.record(q), len(buckets), share, orders, leave,
	}, bucketArgs(buckets)...)...)
	d := controlplane.QuotaDecision{}
	switch {
	case ctx.Err() != nil:
		return d, ctx.Err()
	case err == nil && len(got) == 4:
		d = g.decision(q, buckets, now, got)
	default:
		d.OK, d.Bypassed = true, true
		if err == nil {
			err = errScript
		}
	}
	g.cfg.Observe(q.CA, d, err)
	return d, nil
}

var errScript = errors.New("acme: the governor's script gave a strange answer")

const (
	forever     = 100 * 365 * 24 * time.Hour
	orderMemory = 24 * time.Hour // how long an order is known to be counted
	queueGrace  = time.Minute    // how long after its time a waiter keeps its place
)

// decision reads the answer of the script: whether the order was counted, the wait in microseconds, which bucket it is for, or
// a negative number where the CA asked for the wait, and whether the organization is beyond its share.
func (g *Governor) decision(q controlplane.QuotaRequest, buckets []bucket, now time.Time, got []int64) controlplane.QuotaDecision {
	if got[0] == 1 {
		return controlplane.QuotaDecision{OK: true}
	}
	d := controlplane.QuotaDecision{WaitUntil: now.Add(time.Duration(got[1]) * time.Microsecond), Limit: controlplane.LimitByCA}
	if i := got[2]; i > 0 && int(i) <= len(buckets) {
		d.Limit = buckets[i-1].name
		d.Message = buckets[i-1].message(q.CA)
		if d.Limit == controlplane.LimitNewOrders && got[3] == 1 {
			d.Limit = controlplane.LimitShare
			d.Message += " The organization has used its share of them, and what is left is kept for others."
		}
		return d
	}
	d.Message = q.CA + " asked us to wait."
	return d
}

// bucket is one limit, of one subject.
type bucket struct {
	name    string // one of controlplane's limits
	subject string // domain, names or account, for people
	limit   Limit
	key     string
	queue   string
	burst   float64       // tokens that it holds
	every   time.Duration // between tokens
	keep    float64       // tokens that this request must leave
	check   bool          // a token must be there, but is not taken
}

func (b bucket) message(ca string) string {
	per := strings.TrimSuffix(strings.TrimSuffix(b.limit.Per.String(), "0s"), "0m")
	if days := b.limit.Per / (24 * time.Hour); days > 0 && b.limit.Per%(24*time.Hour) == 0 {
		per = strconv.Itoa(int(days)) + " days"
	}
	what := map[string]string{
		controlplane.LimitNewOrders:            "orders in " + per,
		controlplane.LimitRegisteredDomain:     "certificates in " + per + " for " + b.subject + " and the names below it",
		controlplane.LimitDuplicates:           "certificates in " + per + " for exactly these names",
		controlplane.LimitFailedAuthorizations: "failed authorizations in " + per + " for " + b.subject,
		controlplane.LimitPace:                 "orders in " + per + " from us",
	}[b.name]
	return fmt.Sprintf("%s takes at most %d %s; that many are used or spoken for.", ca, b.limit.Count, what)
}

// buckets returns the limits that a request falls under.
func (g *Governor) buckets(ca governed, q controlplane.QuotaRequest) []bucket {
	var list []bucket
	add := func(name string, limit Limit, subject string, keep float64) *bucket {
		if limit.none() {
			return &bucket{}
		}
		b := bucket{name: name, subject: subject, limit: limit, key: ca.prefix + name + ":" + digest(subject)}
		b.burst = max(float64(limit.Count-int(float64(limit.Count)*g.cfg.Margin)), 1)
		b.every = time.Duration(float64(limit.Per) / float64(limit.Count) * (1 + g.cfg.Margin))
		b.keep = min(float64(int(b.burst*keep)), b.burst-1)
		b.queue = b.key + ":queue"
		if q.Renewal && (name == controlplane.LimitNewOrders || name == controlplane.LimitPace) {
			b.queue += ":renewals" // those who may use different shares do not wait for each other
		}
		list = append(list, b)
		return &list[len(list)-1]
	}
	keepForRenewals, keepForOthers := g.cfg.RenewalReserve, g.cfg.ForegroundReserve
	if q.Renewal {
		keepForRenewals = 0
	} else {
		keepForOthers = 0
	}
	add(controlplane.LimitPace, ca.limits.Pace, "", keepForOthers)
	if !q.Replaces || !ca.limits.ReplacesExempt {
		add(controlplane.LimitNewOrders, ca.limits.NewOrdersPerAccount, q.Account, keepForRenewals)
		for _, domain := range registeredDomains(q.Names) {
			add(controlplane.LimitRegisteredDomain, ca.limits.CertificatesPerRegisteredDomain, domain, 0)
		}
		add(controlplane.LimitDuplicates, ca.limits.DuplicateCertificates, setOf(q.Names), 0)
	}
	for _, name := range identifiers(q.Names) {
		b := add(controlplane.LimitFailedAuthorizations, ca.limits.FailedAuthorizations, name, 0)
		b.check, b.key = true, b.key+":"+digest(q.Account)
	}
	return list
}

// share adds the bucket of the organization's share to buckets, and returns its number, that of the orders per account, and
// how many of these an organization beyond its share must leave. All are 0 where it has no share: renewals that are due go by
// the reserve that is kept for them.
func (g *Governor) share(ca governed, q controlplane.QuotaRequest, buckets *[]bucket) (number, orders, leave int) {
	i := slices.IndexFunc(*buckets, func(b bucket) bool { return b.name == controlplane.LimitNewOrders })
	if i < 0 || q.Org == "" || q.Renewal || g.cfg.OrganizationShare == 0 {
		return 0, 0, 0
	}
	all := (*buckets)[i]
	rest := all.burst - all.keep
	own := all
	own.name, own.key, own.keep = controlplane.LimitShare, all.key+":share:"+digest(q.Org), 0
	own.queue = own.key + ":queue"
	own.burst = max(float64(int(rest*g.cfg.OrganizationShare)), 1)
	own.every = time.Duration(float64(all.every) * all.burst / own.burst).Truncate(time.Microsecond) // as it is counted in
	*buckets = append(*buckets, own)
	return len(*buckets), i + 1, int(min(all.keep+float64(int(rest/2)), all.burst-1))
}

// identifiers returns the names that authorizations are for: those of wildcards without "*.".
func identifiers(names []string) []string {
	seen := map[string]bool{}
	for _, name := range names {
		seen[strings.ToLower(strings.TrimPrefix(name, "*."))] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func registeredDomains(names []string) []string {
	seen := map[string]bool{}
	for _, name := range identifiers(names) {
		seen[controlplane.RegisteredDomain(name)] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// setOf is the same for the same names in any order and case.
func setOf(names []string) string {
	lower := make([]string, len(names))
	for i, name := range names {
		lower[i] = strings.ToLower(name)
	}
	slices.Sort(lower)
	return strings.Join(slices.Compact(lower), " ")
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
