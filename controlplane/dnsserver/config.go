package dnsserver

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// Config configures a Server. Zone, NameServers, Listen, and Source are required. All other fields
// have defaults.
type Config struct {
	// Zone is the validation zone, such as "acme.dcvaas-verify.com".
	Zone string

	// NameServers are the zone's NS records. The first is the SOA's MNAME. A name inside the zone
	// requires an address.
	NameServers []NameServer

	// Mbox is the SOA's RNAME, as "hostmaster@example.com" or "hostmaster.example.com". Default:
	// hostmaster at the zone.
	Mbox string

	// CAA is the record set at the apex (RFC 8659). Nil means `0 issue ";"`: no CA may issue for
	// names in the zone. Empty but not nil means no records.
	CAA []CAA

	// Listen lists the addresses to serve, host:port, over UDP and TCP. An empty host means all
	// addresses of both families ("0.0.0.0" and "::" mean one family each). A name means all of its
	// addresses. Port 0 selects a free port, the same for UDP and TCP.
	Listen []string

	Source Source

	// Aliases are names directly below the zone that answer like a target: its label by the name's
	// label, in lower case.
	Aliases map[string]string

	// Leases stores the lease of this server. Nil means that it needs none to answer.
	Leases Leases

	// RateLimit is the number of UDP answers per second for one client network (/24 or /56), with a
	// burst of one second's worth. Further answers are empty and truncated, so that a real client
	// retries over TCP, which has no such limit. 0 disables the limit.
	RateLimit int
	// RateLimitExempt lists networks without that limit and without TCP limits except the total,
	// such as those of workers that monitor this server, or of a proxy that hides its clients.
	RateLimitExempt []netip.Prefix

	// Sockets is the number of UDP sockets per address, each with a goroutine. 0 means one per
	// processor. On systems without SO_REUSEPORT it is 1.
	Sockets int

	// LookupRate limits the calls of Source.Lookup per second, and LookupConcurrency the concurrent
	// calls. 0 means 500 and 8.
	LookupRate        int
	LookupConcurrency int

	// MaxTCPConns limits the open TCP connections. 0 means 2,048. An IPv4 address or IPv6 /64 may
	// have an eighth of them, an IPv4 /24 or IPv6 /48 a quarter. At a limit, each new connection
	// replaces an idle one (see tcpConns).
	MaxTCPConns int
	// TCPIdleTimeout limits how long a connection may stay without a complete question, and how
	// long a write may take. 0 means 10 s (RFC 7766 §6.2.3).
	TCPIdleTimeout time.Duration

	Now        func() time.Time      // default time.Now
	Logger     *slog.Logger          // default: no logging
	Registerer prometheus.Registerer // default: no metrics
}

// NameServer is one NS record, with its addresses if its name is inside the zone.
type NameServer struct {
	Host string
	IPv4 netip.Addr // optional
	IPv6 netip.Addr // optional
}

// CAA is one property of a CAA record set (RFC 8659 §4.1).
type CAA struct {
	Flags uint8
	Tag   string
	Value string
}

// withDefaults returns c in canonical form with defaults, or an error that names the invalid field.
func (c Config) withDefaults() (Config, error) {
	zone, err := hostname(c.Zone)
	if err != nil || zone == "." {
		return c, fmt.Errorf("dnsserver: zone %q is not a domain name", c.Zone)
	}
	if len(zone)+1+labelLen > 253 {
		return c, fmt.Errorf(
			"dnsserver: zone %q is too long for a target of %d characters below it", c.Zone,
			labelLen)
	}
	c.Zone = zone
	switch {
	case len(c.NameServers) == 0:
		return c, errors.New("dnsserver: at least one name server is required")
	case len(c.Listen) == 0:
		return c, errors.New("dnsserver: at least one listen address is required")
	case c.Source == nil:
		return c, errors.New("dnsserver: a source is required")
	case c.RateLimit < 0 || c.Sockets < 0 || c.LookupRate < 0 || c.LookupConcurrency < 0 ||
		c.MaxTCPConns < 0 || c.TCPIdleTimeout < 0:
		return c, errors.New("dnsserver: limits must not be negative")
	}
	for _, l := range c.Listen {
		if _, _, err := net.SplitHostPort(l); err != nil {
			return c, fmt.Errorf("dnsserver: listen address: %w", err)
		}
	}
	c.Mbox = cmp.Or(c.Mbox, "hostmaster."+zone)
	// A dot in the part before the @ is escaped in an RNAME (RFC 1035 §8).
	if local, domain, ok := strings.Cut(c.Mbox, "@"); ok {
		c.Mbox = strings.ReplaceAll(local, ".", `\.`) + "." + domain
	}
	if _, ok := dns.IsDomainName(c.Mbox); !ok {
		return c, fmt.Errorf("dnsserver: mailbox %q is not an email address", c.Mbox)
	}
	c.Mbox = dns.Fqdn(c.Mbox)
	if c.CAA == nil {
		c.CAA = []CAA{{Tag: "issue", Value: ";"}}
	}
	c.Sockets = cmp.Or(c.Sockets, runtime.GOMAXPROCS(0))
	c.LookupRate = cmp.Or(c.LookupRate, 500)
	c.LookupConcurrency = cmp.Or(c.LookupConcurrency, 8)
	c.MaxTCPConns = cmp.Or(c.MaxTCPConns, 2048)
	c.TCPIdleTimeout = cmp.Or(c.TCPIdleTimeout, 10*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	return c, nil
}

// hostname returns a name in lower case with a trailing dot. It returns an error for characters
// other than letters, digits, hyphens, and underscores.
func hostname(s string) (string, error) {
	name := dns.CanonicalName(s)
	if _, ok := dns.IsDomainName(name); !ok || s == "" {
		return "", fmt.Errorf("%q is not a domain name", s)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return "", fmt.Errorf("%q is not a hostname", s)
		}
	}
	return name, nil
}
