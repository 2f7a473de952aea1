package dnsserver

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// TTLs in seconds. Challenges must not be cached. A name that does not exist may be created at any
// moment, so negative answers are cached only briefly.
const (
	ttlTXT      = 0
	ttlNegative = 5
	ttlStatic   = 3600
)

// static is the unchanging part of the zone: the apex and the name servers' addresses.
type static struct {
	zone     string // in lower case, with a trailing dot
	zoneWire []byte // the same, in wire format
	// by lower-case name; a node without records is an empty non-terminal
	nodes map[string]node
	// labels directly below the apex that are a node or the parent of one
	children map[string]struct{}
	aliases  map[string]key // targets by their other label
	glue     []dns.RR
	soa      *dns.SOA
	negative *dns.SOA // as sent in the authority section
	soaTail  []byte   // negative, packed without its owner name
}

// node is the record sets of a name, by type.
type node map[uint16][]dns.RR

func newStatic(c Config) (*static, error) {
	z := &static{zone: c.Zone, nodes: map[string]node{c.Zone: {}}, children: map[string]struct{}{},
		aliases: map[string]key{}}
	for alias, label := range c.Aliases {
		k, ok := parseLabel(label)
		if !ok {
			return nil, fmt.Errorf("dnsserver: alias %s: %q is not a target's label", alias, label)
		}
		z.aliases[alias] = k
	}
	buf := make([]byte, 256)
	n, err := dns.PackDomainName(c.Zone, buf, 0, nil, false)
	if err != nil {
		return nil, fmt.Errorf("dnsserver: zone %q: %w", c.Zone, err)
	}
	z.zoneWire = buf[:n]
	for _, ns := range c.NameServers {
		if err := z.addNameServer(ns); err != nil {
			return nil, err
		}
	}
	// All replicas serve the same content without transfers, so the serial is constant. DNS
	// checkers report name servers with different serials as broken.
	z.soa = &dns.SOA{Hdr: z.header(c.Zone, dns.TypeSOA),
		Ns: dns.CanonicalName(c.NameServers[0].Host), Mbox: c.Mbox,
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 604800, Minttl: ttlNegative}
	z.add(z.soa)
	for _, p := range c.CAA {
		z.add(&dns.CAA{Hdr: z.header(c.Zone, dns.TypeCAA), Flag: p.Flags, Tag: p.Tag,
			Value: p.Value})
	}
	z.negative = dns.Copy(z.soa).(*dns.SOA)
	z.negative.Hdr.Ttl = ttlNegative
	for _, rrs := range z.nodes[c.Zone] {
		for _, rr := range rrs {
			if _, err := dns.PackRR(rr, make([]byte, 4096), 0, nil, false); err != nil {
				return nil, fmt.Errorf("dnsserver: record %s: %w", rr, err)
			}
		}
	}
	root := dns.Copy(z.negative)
	root.Header().Name = "."
	buf = make([]byte, 1024)
	if n, err = dns.PackRR(root, buf, 0, nil, false); err != nil {
		return nil, fmt.Errorf("dnsserver: SOA: %w", err)
	}
	z.soaTail = buf[1:n]
	return z, nil
}

// addNameServer adds the NS record. For a name inside the zone it also adds its addresses and the
// empty non-terminals above it.
func (z *static) addNameServer(ns NameServer) error {
	host, err := hostname(ns.Host)
	if err != nil {
		return fmt.Errorf("dnsserver: name server: %w", err)
	}
	z.add(&dns.NS{Hdr: z.header(z.zone, dns.TypeNS), Ns: host})
	if !dns.IsSubDomain(z.zone, host) {
		return nil
	}
	if host == z.zone {
		return fmt.Errorf("dnsserver: name server %s must not be the zone itself", host)
	}
	v4, v6 := ns.IPv4.Unmap(), ns.IPv6
	if !ns.IPv4.IsValid() && !v6.IsValid() {
		return fmt.Errorf("dnsserver: name server %s is inside the zone and requires an address",
			host)
	}
	if ns.IPv4.IsValid() && !v4.Is4() || v6.IsValid() && (!v6.Is6() || v6.Is4In6()) {
		return fmt.Errorf("dnsserver: name server %s: IPv4 or IPv6 address has the wrong family",
			host)
	}
	labels := dns.SplitDomainName(strings.TrimSuffix(host, "."+z.zone))
	first := labels[len(labels)-1]
	if _, ok := parseLabel(first); ok {
		return fmt.Errorf("dnsserver: name server %s: the name must not be a target's", host)
	}
	z.children[first] = struct{}{}
	for i := range labels { // the name itself and its parents below the apex
		name := strings.Join(labels[i:], ".") + "." + z.zone
		if z.nodes[name] == nil {
			z.nodes[name] = node{}
		}
	}
	if ns.IPv4.IsValid() {
		z.addGlue(&dns.A{Hdr: z.header(host, dns.TypeA), A: v4.AsSlice()})
	}
	if v6.IsValid() {
		z.addGlue(&dns.AAAA{Hdr: z.header(host, dns.TypeAAAA), AAAA: v6.AsSlice()})
	}
	return nil
}

func (z *static) header(name string, t uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassINET, Ttl: ttlStatic}
}

func (z *static) add(rr dns.RR) {
	h := rr.Header()
	z.nodes[h.Name][h.Rrtype] = append(z.nodes[h.Name][h.Rrtype], rr)
}

func (z *static) addGlue(rr dns.RR) {
	z.add(rr)
	z.glue = append(z.glue, rr)
}
