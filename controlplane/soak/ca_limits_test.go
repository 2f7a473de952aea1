package soak

import (
	"math"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
)

// limitsFor returns Let's Encrypt's limits scaled from a thousand domains to fewer, so that a small
// run also reaches them.
func limitsFor(domains int) acme.Limits {
	const week = 7 * day
	share := func(count, least int) int { return max(count*domains/1000, least) }
	return acme.Limits{
		NewOrdersPerAccount:             acme.Limit{Count: share(300, 5), Per: 3 * time.Hour},
		CertificatesPerRegisteredDomain: acme.Limit{Count: share(50, 3), Per: week},
		DuplicateCertificates:           acme.Limit{Count: 5, Per: week},
		FailedAuthorizations:            acme.Limit{Count: 5, Per: time.Hour},
		Pace:                            acme.Limit{Count: 20, Per: time.Second},
		ReplacesExempt:                  true,
	}
}

// counts are the CA's own token buckets, which share nothing with the governor's.
type counts struct {
	limits  acme.Limits
	buckets map[string]*tokens
}

type tokens struct {
	left float64
	at   time.Time
}

func newCounts(limits acme.Limits) *counts { return &counts{limits, map[string]*tokens{}} }

// bucket returns the bucket of a limit for a subject, refilled.
func (c *counts) bucket(limit acme.Limit, subject string, now time.Time) *tokens {
	b := c.buckets[subject]
	if b == nil {
		b = &tokens{float64(limit.Count), now}
		c.buckets[subject] = b
	}
	b.left = math.Min(b.left+now.Sub(b.at).Seconds()/limit.Per.Seconds()*float64(limit.Count),
		float64(limit.Count))
	b.at = now
	return b
}

// The limits, as they are named in problem documents.
const (
	ordersLimit   = "too many new orders recently"
	domainLimit   = "too many certificates already issued for the registered domain"
	setLimit      = "too many certificates already issued for this exact set of identifiers"
	failuresLimit = "too many failed authorizations recently"
)

// period is how long a limit's count matters.
func (c *counts) period(limit string) time.Duration {
	return map[string]acme.Limit{ordersLimit: c.limits.NewOrdersPerAccount,
		domainLimit:   c.limits.CertificatesPerRegisteredDomain,
		setLimit:      c.limits.DuplicateCertificates,
		failuresLimit: c.limits.FailedAuthorizations}[limit].Per
}

// counted is the bucket of a limit.
type counted struct {
	limit string
	*tokens
}

// certificates returns the buckets from which a certificate for the order takes a token: those of
// each registered domain, and of the set of names.
func (c *counts) certificates(now time.Time, o *order) (list []counted) {
	if o.exempt {
		return nil
	}
	seen := map[string]bool{}
	for _, p := range o.proofs {
		if domain := registered(p.name); !seen[domain] {
			seen[domain] = true
			list = append(list, counted{domainLimit,
				c.bucket(c.limits.CertificatesPerRegisteredDomain, "domain "+domain, now)})
		}
	}
	return append(list, counted{setLimit,
		c.bucket(c.limits.DuplicateCertificates, "set "+strings.Join(o.names, " "), now)})
}

func registered(name string) string {
	domain, _ := publicsuffix.EffectiveTLDPlusOne(name)
	return domain
}

// admit counts a new order, or returns the limit that it would exceed, and for how long.
func (c *counts) admit(now time.Time, o *order) (string, time.Duration) {
	for _, p := range o.proofs {
		if c.failures(now, o.account, p.name).left < 1 {
			return failuresLimit, 15 * time.Minute
		}
	}
	for _, b := range c.certificates(now, o) {
		if b.left < 1 {
			return b.limit,
				time.Duration((1 - b.left) * float64(c.period(b.limit)) / float64(
					c.limits.CertificatesPerRegisteredDomain.Count))
		}
	}
	if o.exempt {
		return "", 0
	}
	b := c.bucket(c.limits.NewOrdersPerAccount, "account "+o.account.url, now)
	if b.left < 1 {
		return ordersLimit,
			time.Duration((1 - b.left) * float64(c.limits.NewOrdersPerAccount.Per) / float64(
				c.limits.NewOrdersPerAccount.Count))
	}
	b.left--
	return "", 0
}

// issue counts a certificate, and returns a limit that it exceeds.
func (c *counts) issue(now time.Time, o *order) (passed string) {
	for _, b := range c.certificates(now, o) {
		if b.left--; b.left < 0 {
			passed = b.limit
		}
	}
	return passed
}

func (c *counts) failures(now time.Time, by *account, name string) *tokens {
	return c.bucket(c.limits.FailedAuthorizations, "failures "+by.url+" "+name, now)
}

func (c *counts) failed(now time.Time, by *account, name string) {
	c.failures(now, by, name).left--
}

// refuse rejects an order over a limit (RFC 8555 §6.6). The caller holds the lock.
func (a *ca) refuse(o *order, limit string, wait time.Duration) answer {
	a.overstepped(o, limit)
	refusal := problem(429, "rateLimited", "%s", limit)
	refusal.retryAfter = wait + time.Second
	return refusal
}

// overstepped records an exceeded limit. It is a fault of the governor, unless Redis lost the count
// within the limit's period, or the order was a forced attempt: its certificate is in its last
// quarter. The caller holds the lock.
func (a *ca) overstepped(o *order, limit string) {
	now := a.clock.Now()
	if a.dns.lastQuarter(o.proofs[0].name, now) {
		a.tally.forced[limit]++
		return
	}
	for _, f := range a.scenario.faults {
		if f.kind == redisAway || f.kind == redisEmptied {
			if (span{f.from, f.to.Add(a.limits.period(limit) + time.Hour)}).has(now) {
				a.tally.refused[limit]++
				return
			}
		}
	}
	a.tally.passed = append(a.tally.passed, now.Format(time.RFC3339)+" "+limit)
}
