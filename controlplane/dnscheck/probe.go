package dnscheck

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// ProbeZone queries the probe's record of the validation zone through every resolver, as CAs do. A
// resolver that does not find the value counts only if it answers another question. In addition, it
// checks each step from the parent zone to the name servers, to name what is broken.
func (d *Doctor) ProbeZone(
	ctx context.Context, q controlplane.ZoneQuestion,
) controlplane.ZoneProbe {
	p := &zoneProbe{Doctor: d, ZoneQuestion: q, zone: dns.CanonicalName(q.Zone),
		name: dns.CanonicalName(controlplane.ProbeName + "." + q.Zone)}
	ctx, cancel := context.WithTimeout(ctx, 10*d.timeout)
	defer cancel()
	var found controlplane.ZoneProbe
	var failures []string
	var path []controlplane.ZoneProblem
	var wg sync.WaitGroup
	wg.Go(func() { found.Reachable, failures = p.throughResolvers(ctx) })
	wg.Go(func() { path = p.checkPath(ctx) })
	wg.Wait()
	found.Problems = path
	if !found.Reachable && len(path) == 0 {
		found.Problems = []controlplane.ZoneProblem{{Step: controlplane.ZoneResolution,
			Detail: "No resolver finds the record " + display(p.name) + ": " +
				strings.Join(failures, "; ") + "."}}
	}
	return found
}

// zoneProbe is one probe of the validation zone.
type zoneProbe struct {
	*Doctor
	controlplane.ZoneQuestion
	zone, name string // canonical
}

// throughResolvers reports whether a resolver that works finds the value, and how the others fail.
// It also returns true if no resolver works.
func (p *zoneProbe) throughResolvers(ctx context.Context) (reachable bool, failures []string) {
	type outcome struct {
		found, works bool
		failure      string
	}
	outcomes := make([]outcome, len(p.resolvers))
	var wg sync.WaitGroup
	for i, s := range p.resolvers {
		wg.Go(func() {
			problem := p.valueAt(p.query(ctx, s, p.name, dns.TypeTXT))
			o := outcome{found: problem == "", failure: s.label + " " + problem}
			o.works = o.found || p.query(ctx, s, ".", dns.TypeNS).usable()
			outcomes[i] = o
		})
	}
	wg.Wait()
	for _, o := range outcomes {
		reachable = reachable || o.found
		if o.works && !o.found {
			failures = append(failures, o.failure)
		}
	}
	return reachable || len(failures) == 0, failures
}

// valueAt returns "" if the reply contains the value, or what it contains instead.
func (p *zoneProbe) valueAt(r reply) string {
	if !r.usable() {
		return "fails (" + r.failure() + ")"
	}
	if r.nxdomain() {
		return "answers that the name does not exist (NXDOMAIN)"
	}
	values := r.records(p.name, dns.TypeTXT)
	for _, rr := range values {
		if strings.Join(rr.(*dns.TXT).Txt, "") == p.Value {
			return ""
		}
	}
	if len(values) > 0 {
		return "answers with an old value"
	}
	return "answers without a value"
}

// query sends one question, and repeats it once if it fails.
func (p *zoneProbe) query(ctx context.Context, s source, name string, t uint16) (r reply) {
	return p.queryOver(ctx, s, "", name, t)
}

func (p *zoneProbe) queryOver(
	ctx context.Context, s source, network, name string, t uint16,
) (r reply) {
	for range 2 {
		q := new(dns.Msg).SetQuestion(name, t)
		q.RecursionDesired = !s.authoritative
		q.SetEdns0(udpSize, false)
		bounded, cancel := context.WithTimeout(ctx, p.timeout)
		r.msg, r.err = s.exchange(bounded, network, q)
		cancel()
		if r.usable() || ctx.Err() != nil {
			break
		}
	}
	return r
}

// server returns a name server of the operator as a source. Its address may be a private one.
func (p *zoneProbe) server(label, addr string) source {
	return serverSource(p.ownDial, label, addr)
}

// checkPath returns what is broken on the way from the parent zone to the name servers.
func (p *zoneProbe) checkPath(ctx context.Context) []controlplane.ZoneProblem {
	problems, own := p.checkReplicas(ctx)
	if p.authority != "" || !p.askAuthority || len(own.hosts) == 0 {
		return problems
	}
	return append(problems, p.checkDelegation(ctx, own)...)
}

// checkReplicas queries each name server directly, over UDP and TCP. It returns the delegation that
// the first one serves.
func (p *zoneProbe) checkReplicas(
	ctx context.Context,
) (problems []controlplane.ZoneProblem, own delegation) {
	if len(p.Servers) == 0 {
		return []controlplane.ZoneProblem{{Step: controlplane.ZoneReplica,
			Detail: "No name server runs that is able to serve the zone."}}, own
	}
	for _, addr := range p.Servers {
		s := p.server(addr, addr)
		var bad []string
		for _, network := range []string{overUDP, overTCP} {
			problem := p.valueAt(p.queryOver(ctx, s, network, p.name, dns.TypeTXT))
			if problem != "" {
				bad = append(bad, problem+" over "+strings.ToUpper(network))
			}
		}
		if len(bad) > 0 {
			problems = append(problems, controlplane.ZoneProblem{Step: controlplane.ZoneReplica,
				Detail: fmt.Sprintf("The name server %s %s.", addr, strings.Join(bad, ", and "))})
		} else if len(own.hosts) == 0 {
			own = delegationIn(p.query(ctx, s, p.zone, dns.TypeNS).msg, p.zone)
		}
	}
	return problems, own
}

// delegation is the NS records of the zone, with the addresses that came with them.
type delegation struct {
	hosts     []string            // canonical, sorted
	addresses map[string][]string // by host, sorted
	signed    bool                // there is a DS record
	referral  bool                // it comes from the parent zone
}

// delegationIn returns the delegation in a message, which is an answer or a referral.
func delegationIn(m *dns.Msg, zone string) delegation {
	d := delegation{addresses: map[string][]string{}}
	if m == nil {
		return d
	}
	for _, rr := range m.Answer {
		d.add(rr, zone)
	}
	d.referral = len(d.hosts) == 0
	for _, rr := range append(slices.Clone(m.Ns), m.Extra...) {
		d.add(rr, zone)
	}
	slices.Sort(d.hosts)
	return d
}

func (d *delegation) add(rr dns.RR, zone string) {
	owner := dns.CanonicalName(rr.Header().Name)
	switch rr := rr.(type) {
	case *dns.NS:
		if host := dns.CanonicalName(rr.Ns); owner == zone && !slices.Contains(d.hosts, host) {
			d.hosts = append(d.hosts, host)
		}
	case *dns.DS:
		d.signed = d.signed || owner == zone
	case *dns.A:
		d.addAddress(owner, rr.A.String())
	case *dns.AAAA:
		d.addAddress(owner, rr.AAAA.String())
	}
}

func (d *delegation) addAddress(host, address string) {
	d.addresses[host] = append(d.addresses[host], address)
	slices.Sort(d.addresses[host])
}
