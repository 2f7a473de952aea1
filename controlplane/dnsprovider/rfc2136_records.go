package dnsprovider

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// seenTypes are the types of records that records reads. A server need not answer a query for ANY
// (RFC 8482).
var seenTypes = []uint16{dns.TypeCNAME, dns.TypeTXT, dns.TypeA, dns.TypeAAAA, dns.TypeCAA,
	dns.TypeMX, dns.TypeSRV, dns.TypeHTTPS}

// The largest number of records of a name, and their size, that are compared and stored.
const (
	maxValues = 50
	maxBytes  = 8 << 10
)

// ask sends a query, and returns the response of a server that is authoritative for the answer, or
// that refers to the servers of a zone below.
func (c *exchange) ask(zone, name string, t uint16) (*dns.Msg, error) {
	r, err := c.send(new(dns.Msg).SetQuestion(dns.Fqdn(name), t))
	if err != nil {
		return nil, err
	}
	switch r.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
		return r, nil
	case dns.RcodeRefused, dns.RcodeNotAuth:
		return nil, noZone(zone)
	}
	return nil, &controlplane.HostError{Kind: controlplane.HostUnreachable,
		Message: "The name server responded with " + dns.RcodeToString[r.Rcode] +
			" to a query in the zone " + zone + "."}
}

func noZone(zone string) error {
	return &controlplane.HostError{Kind: controlplane.HostNoZone,
		Message: "The name server does not serve the zone " + zone + "."}
}

// serves returns HostNoZone unless the server is authoritative for the zone.
func (c *exchange) serves(zone string) error {
	r, err := c.ask(zone, zone, dns.TypeSOA)
	if err != nil {
		return err
	}
	if !r.Authoritative || !slices.ContainsFunc(r.Answer, isA(dns.TypeSOA, zone)) {
		return noZone(zone)
	}
	return nil
}

func isA(t uint16, name string) func(dns.RR) bool {
	return func(rr dns.RR) bool {
		return rr.Header().Rrtype == t && strings.EqualFold(rr.Header().Name, dns.Fqdn(name))
	}
}

// contains returns HostNoZone if the server does not serve the zone, or the name is in a zone below
// it: a record there would not be served.
func (c *exchange) contains(zone, name string) error {
	r, err := c.ask(zone, name, dns.TypeSOA)
	if err != nil {
		return err
	}
	return inZone(r, zone, name)
}

// inZone checks the zone that a response for a name is from.
func inZone(r *dns.Msg, zone, name string) error {
	if slices.ContainsFunc(r.Answer, isA(dns.TypeCNAME, name)) && r.Authoritative {
		return nil
	}
	for _, rr := range slices.Concat(r.Answer, r.Ns) {
		t, owner := rr.Header().Rrtype, strings.ToLower(strings.TrimSuffix(rr.Header().Name, "."))
		below := owner != zone && dns.IsSubDomain(dns.Fqdn(zone), dns.Fqdn(owner)) &&
			dns.IsSubDomain(dns.Fqdn(owner), dns.Fqdn(name))
		switch {
		case (t == dns.TypeSOA || t == dns.TypeNS) && below:
			return &controlplane.HostError{Kind: controlplane.HostNoZone,
				Message: name + " is in the zone " + owner +
					", which the connection does not include."}
		case t == dns.TypeSOA && owner == zone && r.Authoritative:
			return nil
		}
	}
	return noZone(zone)
}

// records returns what a name has, sorted by type.
func (c *exchange) records(zone, name string) ([]controlplane.RecordSet, error) {
	if err := c.contains(zone, name); err != nil {
		return nil, err
	}
	var sets []controlplane.RecordSet
	values, size := 0, 0
	for _, t := range seenTypes {
		r, err := c.ask(zone, name, t)
		if err != nil {
			return nil, err
		}
		if r.Rcode == dns.RcodeNameError {
			return nil, nil
		}
		set := setOf(r.Answer, t, name)
		if len(set.Values) == 0 {
			continue
		}
		sets = append(sets, set)
		if t == dns.TypeCNAME {
			return sets, nil // it is alone (RFC 1034 §3.6.2)
		}
		values += len(set.Values)
		for _, v := range set.Values {
			size += len(v)
		}
		if values > maxValues || size > maxBytes {
			return nil, &controlplane.HostError{Kind: controlplane.HostDenied,
				Message: name + " has too many records at the DNS host."}
		}
	}
	slices.SortFunc(sets,
		func(a, b controlplane.RecordSet) int { return strings.Compare(a.Type, b.Type) })
	return sets, nil
}

// setOf returns the records of the name and type in an answer.
func setOf(answer []dns.RR, t uint16, name string) controlplane.RecordSet {
	set := controlplane.RecordSet{Name: name, Type: dns.TypeToString[t]}
	for _, rr := range answer {
		if isA(t, name)(rr) {
			set.Values = append(set.Values,
				strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
	}
	slices.Sort(set.Values)
	return set
}
