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

// GovernorConfig configures a Governor. Redis and CAs are required.
type GovernorConfig struct {
	// Redis stores the counts for all workers.
	Redis redis.UniversalClient
	// CAs maps each CA's name to its directory and limits. Names with the same directory share
	// their counts.
	CAs []CA
	// RenewalReserve is the share of new orders per account that is reserved for due renewals.
	// Default 0.25; disabled if negative.
	RenewalReserve float64
	// OrganizationShare is the share of the remaining orders that one organization may use before
	// others. An organization above its share must leave half of the remaining orders to those
	// below theirs. Default 0.25; disabled if negative.
	OrganizationShare float64
	// ForegroundReserve is the share of the pace that renewals must not use. Default 0.25; disabled
	// if negative.
	ForegroundReserve float64
	// Margin is the share of every limit, of its rate and of its count (rounded down), that is left
	// unused. It covers clock differences, and that an order reaches the CA later than it is
	// counted here. Default 0.02; disabled if negative.
	Margin float64
	// Prefix is the prefix of every key in Redis. Default "dcvaas:quota:".
	Prefix string
	// Timeout is the longest time that an unavailable Redis delays an order. Default 500 ms.
	Timeout time.Duration
	// Now returns the current time. Default time.Now. Workers' clocks may differ by less than the
	// margin.
	Now func() time.Time
	// Random returns a number in [0, 1) that spreads the end of a pause that the CA requested.
	// Default rand.Float64.
	Random func() float64
	// Observe receives each decision, for metrics. If Bypassed is set, err is the error from Redis.
	Observe func(ca string, d controlplane.QuotaDecision, err error)
}

// Governor keeps orders within the rate limits of the CAs, so that CAs do not have to reject them.
// Its methods are safe for concurrent use.
//
// Each limit is a token bucket, as at Let's Encrypt. It is stored as one number in Redis: the time
// at which the bucket will be full again (the generic cell rate algorithm). Each bucket has a
// queue, in which waiting orders keep their place. Each is given the time at which its token
// becomes available, so that orders return one by one as the bucket refills, and later orders do
// not overtake earlier ones. One script decides over all limits at once: an order takes a token
// from every bucket or from none.
//
// Redis is optional. Without it nothing is counted, and orders are limited by the CA's rejections.
type Governor struct {
	cfg GovernorConfig
	cas map[string]governed
}

// governed is the configuration of one CA.
type governed struct {
	prefix    string // of the CA's keys; the braces keep them in one slot of a Redis Cluster
	limits    Limits
	accounts  []string         // the configured ones
	newOrders map[string]Limit // of the accounts that have their own limit
}

// limit returns an account's limit of new orders.
func (ca governed) limit(account string) Limit {
	if own, ok := ca.newOrders[controlplane.AccountOf(account)]; ok {
		return own
	}
	return ca.limits.NewOrdersPerAccount
}

// subject returns how the counts of an account are identified: not by a name for the default one.
func subject(account string) string {
	if account == controlplane.DefaultAccount {
		return ""
	}
	return account
}

// NewGovernor returns a Governor, or an error that names the missing configuration. It does not
// connect to Redis.
func NewGovernor(cfg GovernorConfig) (*Governor, error) {
	if cfg.Redis == nil {
		return nil, errors.New("acme: GovernorConfig.Redis is required")
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
	if cfg.Random == nil {
		cfg.Random = rand.Float64
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
		one := governed{prefix: cfg.Prefix + "{" + digest(ca.DirectoryURL) + "}:", limits: limits,
			newOrders: map[string]Limit{}}
		for _, account := range ca.accounts() {
			one.accounts = append(one.accounts, account.Name)
			if account.NewOrders != nil {
				one.newOrders[account.Name] = *account.NewOrders
			}
		}
		g.cas[ca.Name] = one
	}
	return g, nil
}

// share returns the configured share, or standard if it is 0, limited to between 0 and 0.9.
func share(configured, standard float64) float64 {
	return min(max(cmp.Or(configured, standard), 0), 0.9)
}

// Reserve counts an order against every limit of its CA, or against none of them and returns the
// time of the next attempt. If several accounts may get the order, it chooses one of them (spread).
// It is called before a new order is stored. A resumed order is already counted.
//
// It returns ctx's error, or an error for an unconfigured CA. If Redis is unavailable, it returns a
// decision with Bypassed set instead of an error.
func (g *Governor) Reserve(
	ctx context.Context, q controlplane.QuotaRequest,
) (controlplane.QuotaDecision, error) {
	ca, ok := g.cas[q.CA]
	if !ok {
		return controlplane.QuotaDecision{},
			fmt.Errorf("acme: reserve an order: CA %q is not configured", q.CA)
	}
	var d controlplane.QuotaDecision
	var err error
	if len(q.Accounts) > 1 {
		d, err = g.spread(ctx, ca, q)
	} else {
		if len(q.Accounts) == 1 {
			q = q.For(q.Accounts[0])
		}
		d, _, err = g.reserve(ctx, ca, q, forever)
	}
	if ctx.Err() != nil {
		return controlplane.QuotaDecision{}, ctx.Err()
	}
	g.cfg.Observe(q.CA, d, err)
	return d, nil
}

// reserve is Reserve for one account. For its limit of new orders, the order takes a place in the
// queue only if the wait is at most stay. elsewhere reports that another account of the CA may
// place the order earlier. Its error is that of Redis.
func (g *Governor) reserve(
	ctx context.Context, ca governed, q controlplane.QuotaRequest, stay time.Duration,
) (d controlplane.QuotaDecision, elsewhere bool, err error) {
	now, buckets := g.cfg.Now(), g.buckets(ca, q)
	share, orders, leave := g.share(ca, q, &buckets)
	patience := cmp.Or(q.Patience, forever)
	got, err := g.eval(ctx, reserveScript, ca.keys(q, buckets), append([]any{
		now.UnixMicro(), q.Waiter, patience.Microseconds(), g.cfg.Random(),
		orderMemory.Milliseconds(), queueGrace.Microseconds(), ca.record(q), len(buckets), share,
		orders, leave, min(patience, stay).Microseconds(),
	}, bucketArgs(buckets)...)...)
	switch {
	case err == nil && len(got) == 4:
		d = g.decision(q, buckets, now, got)
		elsewhere = got[2] == pausedAccount || d.Limit == controlplane.LimitNewOrders ||
			d.Limit == controlplane.LimitShare ||
			d.Limit == controlplane.LimitFailedAuthorizations
		if !d.OK && got[2] == pausedNames {
			d.Message = cmp.Or(g.pauseText(ctx, ca, q), d.Message)
		}
	default:
		d.OK, d.Bypassed = true, true
		if err == nil {
			err = errScript
		}
	}
	d.Account = controlplane.AccountOf(q.Account)
	return d, elsewhere, err
}

// reserveScript's numbers for the pauses that a CA requested.
const (
	pausedAccount = -1
	pausedNames   = -2 // the order's names
)

// pauseText returns what the CA said when it requested a pause of the order's names, or "".
func (g *Governor) pauseText(
	ctx context.Context, ca governed, q controlplane.QuotaRequest,
) string {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
	defer cancel()
	text, err := g.cfg.Redis.HGet(ctx, ca.keys(q, nil)[1], "text").Result()
	if err != nil {
		return ""
	}
	return text
}

var errScript = errors.New("acme: the governor's script returned an unexpected number of values")

const (
	forever     = 100 * 365 * 24 * time.Hour
	orderMemory = 24 * time.Hour // how long a counted order is remembered
	queueGrace  = time.Minute    // how long after its time a waiting order keeps its place
)

// decision interprets the result of reserveScript.
func (g *Governor) decision(
	q controlplane.QuotaRequest, buckets []bucket, now time.Time, got []int64,
) controlplane.QuotaDecision {
	if got[0] == 1 {
		return controlplane.QuotaDecision{OK: true}
	}
	d := controlplane.QuotaDecision{WaitUntil: now.Add(time.Duration(got[1]) * time.Microsecond),
		Limit: controlplane.LimitByCA}
	if i := got[2]; i > 0 && int(i) <= len(buckets) {
		d.Limit = buckets[i-1].name
		d.Message = buckets[i-1].message(q.CA)
		if d.Limit == controlplane.LimitNewOrders && got[3] == 1 {
			d.Limit = controlplane.LimitShare
			d.Message += " The organization has used its share; the remaining orders are reserved for other organizations."
		}
		return d
	}
	d.Message = q.CA + " requested a pause."
	return d
}

// bucket is one limit for one subject.
type bucket struct {
	name    string // one of controlplane's limit names
	subject string // domain, names, or account; shown in messages
	limit   Limit
	key     string
	queue   string
	burst   float64       // capacity in tokens
	every   time.Duration // between tokens
	keep    float64       // tokens that this request must leave in the bucket
	check   bool          // requires a token but does not take it
}

func (b bucket) message(ca string) string {
	per := strings.TrimSuffix(strings.TrimSuffix(b.limit.Per.String(), "0s"), "0m")
	if days := b.limit.Per / (24 * time.Hour); days > 0 && b.limit.Per%(24*time.Hour) == 0 {
		per = strconv.Itoa(int(days)) + " days"
	}
	what := map[string]string{
		controlplane.LimitNewOrders: "orders in " + per,
		controlplane.LimitRegisteredDomain: "certificates in " + per + " for " + b.subject +
			" and the names below it",
		controlplane.LimitDuplicates: "certificates in " + per +
			" for exactly these names",
		controlplane.LimitFailedAuthorizations: "failed authorizations in " + per + " for " +
			b.subject,
		controlplane.LimitPace: "orders in " + per + " from this service",
	}[b.name]
	return fmt.Sprintf("%s allows at most %d %s, and all of them are used or reserved.", ca,
		b.limit.Count, what)
}

// buckets returns the buckets that limit a request.
func (g *Governor) buckets(ca governed, q controlplane.QuotaRequest) []bucket {
	var list []bucket
	add := func(name string, limit Limit, subject string, keep float64) *bucket {
		if limit.none() {
			return &bucket{}
		}
		b := bucket{name: name, subject: subject, limit: limit, key: ca.prefix + name + ":" +
			digest(subject)}
		b.burst = max(float64(limit.Count-int(float64(limit.Count)*g.cfg.Margin)), 1)
		b.every = time.Duration(float64(limit.Per) / float64(limit.Count) * (1 + g.cfg.Margin))
		b.keep = min(float64(int(b.burst*keep)), b.burst-1)
		b.queue = b.key + ":queue"
		if q.Renewal && (name == controlplane.LimitNewOrders || name == controlplane.LimitPace) {
			b.queue += ":renewals" // requests with different reserves do not wait for each other
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
		add(controlplane.LimitNewOrders, ca.limit(q.Account), subject(q.Account), keepForRenewals)
		for _, domain := range registeredDomains(q.Names) {
			add(controlplane.LimitRegisteredDomain, ca.limits.CertificatesPerRegisteredDomain,
				domain, 0)
		}
		add(controlplane.LimitDuplicates, ca.limits.DuplicateCertificates, setOf(q.Names), 0)
	}
	for _, name := range controlplane.Identifiers(q.Names) {
		b := add(controlplane.LimitFailedAuthorizations, ca.limits.FailedAuthorizations, name, 0)
		b.check, b.key = true, b.key+":"+digest(subject(q.Account))
	}
	return list
}

// share appends the bucket of the organization's share to buckets. It returns that bucket's number,
// the number of the bucket of orders per account, and how many tokens an organization above its
// share must leave there. The number of a missing bucket is 0. Due renewals have no share,
// because a separate reserve is kept for them.
func (g *Governor) share(
	ca governed, q controlplane.QuotaRequest, buckets *[]bucket,
) (number, orders, leave int) {
	i := slices.IndexFunc(*buckets,
		func(b bucket) bool { return b.name == controlplane.LimitNewOrders })
	if q.Org == "" || q.Renewal || g.cfg.OrganizationShare == 0 || i < 0 {
		return 0, i + 1, 0
	}
	all := (*buckets)[i]
	rest := all.burst - all.keep
	own := all
	own.name, own.key, own.keep = controlplane.LimitShare, all.key+":share:"+digest(q.Org), 0
	own.queue = own.key + ":queue"
	own.burst = max(float64(int(rest*g.cfg.OrganizationShare)), 1)
	// the unit of the script
	own.every = time.Duration(float64(all.every) * all.burst / own.burst).Truncate(time.Microsecond)
	*buckets = append(*buckets, own)
	return len(*buckets), i + 1, int(min(all.keep+float64(int(rest/2)), all.burst-1))
}

func registeredDomains(names []string) []string {
	seen := map[string]bool{}
	for _, name := range controlplane.Identifiers(names) {
		seen[controlplane.RegisteredDomain(name)] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// setOf returns a canonical form of a set of names, independent of order and case.
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
