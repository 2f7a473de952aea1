// Package dnscheck is the doctor. It checks a customer's delegation as a CA does, and reports what
// is wrong and how to fix it. It also waits until name servers serve a challenge. Package lifecycle
// calls it through its own interfaces. dnscheck only sends DNS queries and changes nothing.
package dnscheck

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Resolver is a recursive resolver that speaks DNS over HTTPS (RFC 8484).
type Resolver struct {
	Name string // shown to users, such as "Cloudflare"; if empty, the URL is shown
	URL  string // without a {?dns} template: queries use POST
}

// DefaultResolvers returns public resolvers of two operators.
func DefaultResolvers() []Resolver {
	return []Resolver{
		{Name: "Cloudflare", URL: "https://cloudflare-dns.com/dns-query"},
		{Name: "Google", URL: "https://dns.google/dns-query"},
	}
}

// DialFunc opens a connection as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Config configures a Doctor. With the zero value, it queries only the default resolvers.
type Config struct {
	Resolvers  []Resolver   // default DefaultResolvers
	HTTPClient *http.Client // for the resolvers; default a new client

	// AskAuthority also queries the zone's name servers, as found by its NS records, to distinguish
	// cached answers from current ones. It requires outbound access to port 53 over UDP and TCP.
	AskAuthority bool

	// Authority is the host:port of a server that stands in for all customers' name servers. In
	// development it is the playground.
	Authority string

	// Dial connects to name servers. If nil, only public addresses are dialed: customers choose the
	// addresses and must not reach the internal network.
	Dial DialFunc

	// of one query; default 3 s. A whole check takes at most 5 times as long
	Timeout time.Duration
	Now     func() time.Time // default time.Now
	Logger  *slog.Logger     // default: no logging
}

// Doctor checks delegations. Between checks, it keeps only answers that Rehearse reuses. It is safe
// for concurrent use.
type Doctor struct {
	cache        *cache
	sent         *counters
	resolvers    []source
	askAuthority bool
	authority    string
	dial         DialFunc // to customers' name servers
	ownDial      DialFunc // to the operator's name servers, also at private addresses
	timeout      time.Duration
	now          func() time.Time
	log          *slog.Logger
}

// New returns a Doctor.
func New(cfg Config) *Doctor {
	d := &Doctor{
		askAuthority: cfg.AskAuthority, authority: cfg.Authority, dial: cfg.Dial,
		timeout: cfg.Timeout, now: cfg.Now, log: cfg.Logger,
	}
	d.timeout = cmp.Or(max(d.timeout, 0), 3*time.Second)
	if d.now == nil {
		d.now = time.Now
	}
	d.cache, d.sent = newCache(d.now, cacheSize), new(counters)
	if d.ownDial = cfg.Dial; d.ownDial == nil {
		d.ownDial = new(net.Dialer).DialContext
	}
	d.log = cmp.Or(d.log, slog.New(slog.DiscardHandler))
	if d.dial == nil {
		d.dial = publicDial
		if d.authority != "" {
			d.dial = new(net.Dialer).DialContext // configured by the operator, not by a customer
		}
	}
	client := cmp.Or(cfg.HTTPClient, &http.Client{})
	if len(cfg.Resolvers) == 0 {
		cfg.Resolvers = DefaultResolvers()
	}
	for _, r := range cfg.Resolvers {
		d.resolvers = append(d.resolvers, resolverSource(client, r))
	}
	return d
}

// Delegation checks whether the question of a CA, TXT at the challenge name of domain, leads to
// target by CNAMEs, and reports the cause if it does not. domain is in A-label form, without the
// challenge label; target is a full name. DNS failures are returned as a diagnosis. An error means
// that ctx is done or that an argument is not a domain name.
func (d *Doctor) Delegation(
	ctx context.Context, domain, target string,
) (controlplane.Diagnosis, error) {
	if err := checkNames(domain, target); err != nil {
		return controlplane.Diagnosis{}, err
	}
	l := newLookup(d, domain, target)
	bounded, cancel := context.WithTimeout(ctx, 5*d.timeout)
	defer cancel()
	found := l.collect(bounded)
	l.explain(bounded, &found)
	diagnosis := l.diagnose(bounded, found)
	if err := ctx.Err(); err != nil {
		return controlplane.Diagnosis{}, err
	}
	diagnosis.CheckedAt = l.current()
	diagnosis.Evidence = l.observations()
	return diagnosis, nil
}
