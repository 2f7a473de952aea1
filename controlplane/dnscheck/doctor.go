// Package dnscheck is the doctor: it looks at a customer's delegation the way a CA will,
// and says what is wrong and how to mend it. It also tells when name servers answer a
// challenge. lifecycle calls it through interfaces of its own; it reads nothing but DNS and
// changes nothing.
package dnscheck

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Resolver is a recursive resolver that speaks DNS over HTTPS (RFC 8484).
type Resolver struct {
	Name string // for people: "Cloudflare"; empty shows the URL
	URL  string // without the {?dns} of a template: it is asked by POST
}

// DefaultResolvers are public resolvers of two operators.
func DefaultResolvers() []Resolver {
	return []Resolver{
		{Name: "Cloudflare", URL: "https://cloudflare-dns.com/dns-query"},
		{Name: "Google", URL: "https://dns.google/dns-query"},
	}
}

// DialFunc opens a connection as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Config is what a Doctor works with. Its zero value asks the default resolvers only.
type Config struct {
	Resolvers  []Resolver   // empty is DefaultResolvers
	HTTPClient *http.Client // asks the resolvers; nil is one of its own

	// AskAuthority also asks the zone's own name servers, as found by its NS records, so
	// that a cache is told from the truth. It needs port 53 to the Internet.
	AskAuthority bool

	// Authority is the host:port that stands for every customer's name servers. In
	// development they are all the playground.
	Authority string

	// Dial reaches name servers. Nil dials public addresses only: customers choose the
	// addresses, and our network is none of their business.
	Dial DialFunc

	Timeout time.Duration    // of one question; 0 is 3 s. A whole look takes at most 5 times that
	Now     func() time.Time // nil is time.Now
	Logger  *slog.Logger     // nil discards
}

// Doctor examines delegations. It keeps nothing between two of them and is safe for
// concurrent use.
type Doctor struct {
	resolvers    []source
	askAuthority bool
	authority    string
	dial         DialFunc
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
	if d.timeout <= 0 {
		d.timeout = 3 * time.Second
	}
	if d.now == nil {
		d.now = time.Now
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.dial == nil {
		d.dial = publicDial
		if d.authority != "" {
			d.dial = new(net.Dialer).DialContext // the operator named it, not a customer
		}
	}
	client := cfg.HTTPClient
	if client == nil {
		client = &http.Client{}
	}
	if len(cfg.Resolvers) == 0 {
		cfg.Resolvers = DefaultResolvers()
	}
	for _, r := range cfg.Resolvers {
		d.resolvers = append(d.resolvers, resolverSource(client, r))
	}
	return d
}

// Delegation looks whether the challenge name of domain leads to target by CNAME, and says
// what is wrong where it does not. Domain is in A-label form, without the challenge label;
// target is a full name. Whatever DNS does comes back as a diagnosis; an error means that
// ctx ended first, or that an argument is no name.
func (d *Doctor) Delegation(ctx context.Context, domain, target string) (controlplane.Diagnosis, error) {
	for _, name := range []string{domain, target} {
		if _, ok := dns.IsDomainName(name); !ok || name == "" {
			return controlplane.Diagnosis{}, errors.New("dnscheck: " + name + " is no domain name")
		}
	}
	l := newLook(d, domain, target)
	bounded, cancel := context.WithTimeout(ctx, 5*d.timeout)
	defer cancel()
	found := l.collect(bounded)
	diagnosis := l.diagnose(bounded, found)
	if err := ctx.Err(); err != nil {
		return controlplane.Diagnosis{}, err
	}
	diagnosis.CheckedAt = d.now().UTC()
	diagnosis.Evidence = l.observations()
	return diagnosis, nil
}
