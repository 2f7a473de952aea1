package dnsprovider

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// recordTTL is the TTL of created records, in seconds.
const recordTTL = 300

// nameServer is a name server that accepts dynamic updates. It never transfers a zone.
type nameServer struct {
	*Hosts
	credentials controlplane.RFC2136Credentials
}

func newNameServer(h *Hosts, c controlplane.RFC2136Credentials) *nameServer {
	return &nameServer{h, c}
}

func (s *nameServer) zones(context.Context) ([]string, error) { return s.credentials.Zones, nil }

// test sends, for each zone, a query and an update without changes, both signed. The server checks
// the key with the first, and the key's permission with the second (RFC 2136 §3.3).
func (s *nameServer) test(ctx context.Context) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	for _, zone := range s.credentials.Zones {
		if err := c.serves(zone); err != nil {
			return err
		}
		if _, err := c.update(newUpdate(zone), nil); err != nil {
			return err
		}
	}
	return nil
}

func (s *nameServer) records(
	ctx context.Context, zone, name string,
) ([]controlplane.RecordSet, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	return c.records(zone, name)
}

// create sends one update, which the server applies completely or not at all (RFC 2136 §3.7). Its
// prerequisites are that the name is not in use, or has exactly the records to be replaced.
func (s *nameServer) create(
	ctx context.Context, r controlplane.HostRecord, replace []controlplane.RecordSet,
) (string, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return "", err
	}
	defer c.close()
	if err := c.contains(r.Zone, r.Name); err != nil {
		return "", err
	}
	m := newUpdate(r.Zone)
	if len(replace) == 0 {
		m.NameNotUsed([]dns.RR{cname(r)})
	} else if err := replaceRecords(m, r.Name, replace); err != nil {
		return "", err
	}
	m.Insert([]dns.RR{cname(r)})
	rcode, err := c.update(m, []int{dns.RcodeYXDomain, dns.RcodeYXRrset, dns.RcodeNXRrset,
		dns.RcodeNameError})
	if err != nil {
		return "", s.denied(ctx, err)
	}
	if rcode == dns.RcodeSuccess && len(replace) == 0 {
		return "", nil
	}
	// A server ignores a CNAME beside records of types that were not seen (RFC 2136 §3.4.2.2).
	found, err := c.records(r.Zone, r.Name)
	if err != nil {
		return "", err
	}
	if rcode == dns.RcodeSuccess && len(found) == 1 && found[0].Is(r.Value) {
		return "", nil
	}
	return "", &controlplane.HostError{Kind: controlplane.HostConflict, Found: found,
		Message: r.Name + " has other records at the DNS host."}
}

// remove sends an update with the record as its prerequisite.
func (s *nameServer) remove(ctx context.Context, r controlplane.HostRecord) error {
	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	m := newUpdate(r.Zone)
	m.Used([]dns.RR{cname(r)})
	m.Remove([]dns.RR{cname(r)})
	rcode, err := c.update(m, []int{dns.RcodeNXRrset, dns.RcodeNameError})
	if err != nil {
		return s.denied(ctx, err)
	}
	if rcode == dns.RcodeSuccess {
		return nil
	}
	found, err := c.records(r.Zone, r.Name)
	if err != nil {
		return err
	}
	return &controlplane.HostError{Kind: controlplane.HostChanged, Found: found,
		Message: r.Name + " is not the record that was created."}
}

// denied returns HostDenied if the server refused an update that it permits without changes: the
// key may not change this record, but may be valid for others.
func (s *nameServer) denied(ctx context.Context, err error) error {
	if !controlplane.IsHostError(err, controlplane.HostInvalid) || s.test(ctx) != nil {
		return err
	}
	return &controlplane.HostError{Kind: controlplane.HostDenied, Err: err,
		Message: "The name server does not permit the key to change this record."}
}

func newUpdate(zone string) *dns.Msg { return new(dns.Msg).SetUpdate(dns.Fqdn(zone)) }

func cname(r controlplane.HostRecord) dns.RR {
	return &dns.CNAME{Hdr: dns.RR_Header{Name: dns.Fqdn(r.Name), Rrtype: dns.TypeCNAME,
		Class: dns.ClassINET, Ttl: recordTTL}, Target: dns.Fqdn(r.Value)}
}

// replaceRecords adds the prerequisites that the name has exactly the sets, as far as types are
// known, and their removal.
func replaceRecords(m *dns.Msg, name string, sets []controlplane.RecordSet) error {
	var seen []uint16
	for _, set := range sets {
		t := dns.StringToType[set.Type]
		if t == 0 || len(set.Values) == 0 {
			return &controlplane.HostError{Kind: controlplane.HostConflict, Found: sets,
				Message: "Records of type " + set.Type + " can't be replaced."}
		}
		seen = append(seen, t)
		for _, value := range set.Values {
			rr, err := dns.NewRR(fmt.Sprintf("%s 0 IN %s %s", dns.Fqdn(name), set.Type, value))
			if err != nil || rr == nil || rr.Header().Rrtype != t || strings.Contains(value, "\n") {
				return &controlplane.HostError{Kind: controlplane.HostConflict, Found: sets,
					Message: "A value of " + name + " is not one of a record of type " +
						set.Type + ".", Err: err}
			}
			m.Used([]dns.RR{rr})
		}
	}
	for _, t := range seenTypes {
		if !slices.Contains(seen, t) {
			m.RRsetNotUsed([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: t}}})
		}
	}
	for _, t := range seen {
		m.RemoveRRset([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: t}}})
	}
	return nil
}
