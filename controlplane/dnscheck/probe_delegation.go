package dnscheck

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// maxParents is how many name servers of the parent zone a probe queries: they usually agree.
const maxParents = 2

// checkDelegation compares the delegation in the parent zone with the one that the zone serves, and
// queries the name servers at their public addresses. It finds nothing if the parent zone is not
// found, because then only the resolvers know.
func (p *zoneProbe) checkDelegation(
	ctx context.Context, own delegation,
) (problems []controlplane.ZoneProblem) {
	add := func(step controlplane.ZoneStep, format string, args ...any) {
		problems = append(problems,
			controlplane.ZoneProblem{Step: step, Detail: fmt.Sprintf(format, args...)})
	}
	parent, r := p.askParent(ctx)
	if !r.usable() {
		return nil
	}
	at := "The parent zone " + display(parent)
	given := delegationIn(r.msg, p.zone)
	switch {
	case len(given.hosts) == 0:
		add(controlplane.ZoneDelegation, "%s has no NS records for %s: add %s.", at, p.Zone,
			joined(own.hosts))
		return problems
	case !slices.Equal(given.hosts, own.hosts):
		add(controlplane.ZoneDelegation,
			"%s has the NS records %s for %s, but the zone has %s (DCVAAS_NAME_SERVERS).", at,
			joined(given.hosts), p.Zone, joined(own.hosts))
	}
	if given.signed {
		add(controlplane.ZoneDelegation,
			"%s has a DS record for %s, but the zone is not signed: remove the DS record.", at, p.Zone)
	}
	for _, host := range given.hosts {
		addresses := p.addresses(ctx, given, host)
		want := own.addresses[host]
		switch {
		case len(addresses) == 0 && given.referral && dns.IsSubDomain(p.zone, host):
			add(controlplane.ZoneGlue, "%s has no address for %s: add the glue records %s.", at,
				display(host), strings.Join(want, ", "))
		case len(addresses) == 0:
			add(controlplane.ZoneGlue, "The name server %s has no address.", display(host))
		case len(want) > 0 && !slices.Equal(addresses, want):
			add(controlplane.ZoneGlue, "%s has the address %s for %s, but the zone has %s.", at,
				strings.Join(addresses, ", "), display(host), strings.Join(want, ", "))
		}
		for _, address := range addresses {
			if bad := p.checkPort(ctx, host, address); bad != "" {
				add(controlplane.ZonePort53, "The name server %s (%s) %s.", display(host), address, bad)
			}
		}
	}
	return problems
}

// askParent asks the name servers of the parent zone for the delegation. It returns the parent zone
// and the first usable answer.
func (p *zoneProbe) askParent(ctx context.Context) (parent string, r reply) {
	for parent = parentOf(p.zone); ; parent = parentOf(parent) {
		var hosts []string
		for _, s := range p.resolvers {
			for _, rr := range p.query(ctx, s, parent, dns.TypeNS).records(parent, dns.TypeNS) {
				hosts = append(hosts, dns.CanonicalName(rr.(*dns.NS).Ns))
			}
			if len(hosts) > 0 {
				break
			}
		}
		slices.Sort(hosts)
		for _, host := range hosts[:min(len(hosts), maxParents)] {
			for _, address := range p.resolve(ctx, host) {
				s := p.server(display(host), net.JoinHostPort(address, "53"))
				if r = p.query(ctx, s, p.zone, dns.TypeNS); r.usable() {
					return parent, r
				}
			}
		}
		if len(hosts) > 0 || parent == "." {
			return parent, r
		}
	}
}

// addresses returns the addresses of a name server: the glue of a delegation, or what resolvers
// find for a name outside the zone.
func (p *zoneProbe) addresses(ctx context.Context, d delegation, host string) []string {
	if glue := d.addresses[host]; len(glue) > 0 {
		return glue
	}
	if d.referral && dns.IsSubDomain(p.zone, host) {
		return nil // resolvers need the glue
	}
	return p.resolve(ctx, host)
}

// resolve returns the addresses of a host, sorted.
func (p *zoneProbe) resolve(ctx context.Context, host string) []string {
	d := delegation{addresses: map[string][]string{}}
	for _, t := range []uint16{dns.TypeA, dns.TypeAAAA} {
		for _, s := range p.resolvers {
			r := p.query(ctx, s, host, t)
			if !r.usable() {
				continue
			}
			for _, rr := range r.msg.Answer {
				d.add(rr, "")
			}
			break
		}
	}
	var all []string
	for _, addresses := range d.addresses {
		all = append(all, addresses...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// checkPort returns how a name server fails at its public address, "" if it answers over UDP and
// TCP.
func (p *zoneProbe) checkPort(ctx context.Context, host, address string) string {
	s := p.server(display(host), net.JoinHostPort(address, "53"))
	var bad []string
	for _, network := range []string{overUDP, overTCP} {
		r := p.queryOver(ctx, s, network, p.zone, dns.TypeSOA)
		switch {
		case !r.usable():
			bad = append(bad, "does not answer over "+strings.ToUpper(network)+" ("+r.failure()+")")
		case len(r.records(p.zone, dns.TypeSOA)) == 0:
			bad = append(bad, "does not serve the zone over "+strings.ToUpper(network))
		}
	}
	return strings.Join(bad, ", and ")
}
