package dnsserver

import (
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

// Config says what a Server serves and where. Zone, NameServers, Listen and Source are
// needed; the zero value of every other field works.
type Config struct {
	// Zone is the validation zone, such as "acme.dcvaas-verify.com".
	Zone string

	// NameServers are the zone's NS records, the first of them the SOA's MNAME. One whose
	// name is inside the zone needs an address.
	NameServers []NameServer

	// Mbox is the SOA's RNAME: a mail address in either form, "hostmaster@example.com" or
	// "hostmaster.example.com". Empty means hostmaster at the zone.
	Mbox string

	// CAA is the record set at the apex (RFC 8659). Nil means `0 issue ";"`: no CA may issue
	// for names in the zone. Empty but not nil means none.
	CAA []CAA

	// Listen are the addresses, host:port, each served over UDP and TCP. An empty host means
	// every address of both families ("0.0.0.0" and "::" mean one family each), a name every
	// address that it has. Port 0 takes a free one, the same for UDP and TCP.
	Listen []string

	Source Source

	// RateLimit is how many answers per second over UDP one client network (/24 or /56) gets,
	// with a burst of one second's worth. Those beyond are sent empty and truncated, so that a
	// real client comes again over TCP, which has no such limit. 0 is off.
	RateLimit int
	// RateLimitExempt are networks without that limit and with none for TCP but the total, such
	// as those of the workers that watch this server, or of a proxy that hides its clients.
	RateLimitExempt []netip.Prefix

	// Sockets is the number of UDP sockets, each with a goroutine, per address. 0 means one
	// per processor. Where the system has no SO_REUSEPORT it is 1.
	Sockets int

	// LookupRate is how many times per second, and LookupConcurrency how many at once,
	// Source.Lookup is called at most. 0 means 500 and 8.
	LookupRate        int
	LookupConcurrency int

	// MaxTCPConns is how many TCP connections are served at once; 0 means 2,048. An IPv4 address
	// or IPv6 /64 has at most an eighth of them, an IPv4 /24 or IPv6 /48 a quarter. Beyond a
	// limit, each new connection takes the place of an idle one (see tcpConns).
	MaxTCPConns int
	// TCPIdleTimeout is how long a connection may stay without a whole question, and how
	// long a write may take; 0 means 10 s (RFC 7766 §6.2.3).
	TCPIdleTimeout time.Duration

	Now        func() time.Time      // nil means time.Now
	Logger     *slog.Logger          // nil means none
	Registerer prometheus.Registerer // nil means no metrics are exported
}

// NameServer is one NS record, and its addresses where it is named inside the zone.
type NameServer struct {
	Host string
	IPv4 netip.Addr // zero for none
	IPv6 netip.Addr // zero for none
}

// CAA is one property of a CAA record set (RFC 8659 §4.1).
type CAA struct {
	Flags uint8
	Tag   string
	Value string
}

// withDefaults returns c checked, in canonical form and with every default filled in.
func (c Config) withDefaults() (Config, error) {
	zone, err := hostname(c.Zone)
	if err != nil || zone == "." {
		return c, fmt.Errorf("dnsserver: zone %q is not a domain name", c.Zone)
	}
	if len(zone)+1+labelLen > 253 {
		return c, fmt.Errorf("dnsserver: zone %q is too long for a target of %d characters below it", c.Zone, labelLen)
	}
	c.Zone = zone
	switch {
	case len(c.NameServers) == 0:
		return c, errors.New("dnsserver: at least one name server is needed")
	case len(c.Listen) == 0:
		return c, errors.New("dnsserver: at least one address to listen on is needed")
	case c.Source == nil:
		return c, errors.New("dnsserver: a source is needed")
	case c.RateLimit < 0 || c.Sockets < 0 || c.LookupRate < 0 || c.LookupConcurrency < 0 || c.MaxTCPConns < 0 || c.TCPIdleTimeout < 0:
		return c, errors.New("dnsserver: limits cannot be negative")
	}
	for _, l := range c.Listen {
		if _, _, err := net.SplitHostPort(l); err != nil {
			return c, fmt.Errorf("dnsserver: listen address: %w", err)
		}
	}
	if c.Mbox == "" {
		c.Mbox = "hostmaster." + zone
	}
	// A dot in the part before the @ is escaped in an RNAME (RFC 1035 §8).
	if local, domain, ok := strings.Cut(c.Mbox, "@"); ok {
		c.Mbox = strings.ReplaceAll(local, ".", `\.`) + "." + domain
	}
	if _, ok := dns.IsDomainName(c.Mbox); !ok {
		return c, fmt.Errorf("dnsserver: mailbox %q is not a mail address", c.Mbox)
	}
	c.Mbox = dns.Fqdn(c.Mbox)
	if c.CAA == nil {
		c.CAA = []CAA{{Tag: "issue", Value: ";"}}
	}
	setDefault(&c.Sockets, runtime.GOMAXPROCS(0))
	setDefault(&c.LookupRate, 500)
	setDefault(&c.LookupConcurrency, 8)
	setDefault(&c.MaxTCPConns, 2048)
	setDefault(&c.TCPIdleTimeout, 10*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// hostname returns a name in lower case with its final dot; anything but letters, digits,
// hyphens and underscores in it is an error.
func hostname(s string) (string, error) {
	name := dns.CanonicalName(s)
	if _, ok := dns.IsDomainName(name); !ok || s == "" {
		return "", fmt.Errorf("%q is not a domain name", s)
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return "", fmt.Errorf("%q is not a host name", s)
		}
	}
	return name, nil
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}
