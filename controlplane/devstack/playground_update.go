package devstack

import (
	"slices"

	"github.com/miekg/dns"
)

// playgroundUpdates applies dynamic updates (RFC 2136) that are signed with TSIG.
type playgroundUpdates struct{ store *playgroundStore }

// answer applies an update whose signature is valid, and returns the response.
func (u *playgroundUpdates) answer(r *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(r)
	m.Rcode = dns.RcodeRefused // RFC 2136 §3.3
	if r.IsTsig() != nil {
		m.Rcode = u.store.update(r)
	}
	return m
}

// update applies a message atomically and returns the response code.
func (s *playgroundStore) update(r *dns.Msg) int {
	zone := dns.CanonicalName(r.Question[0].Name)
	if r.Question[0].Qtype != dns.TypeSOA || r.Question[0].Qclass != dns.ClassINET {
		return dns.RcodeFormatError
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if dns.IsSubDomain(s.validation, zone) || zone == "." || s.apexOf(zone) != zone {
		return dns.RcodeNotAuth
	}
	if rcode := s.prerequisites(zone, r.Answer); rcode != dns.RcodeSuccess {
		return rcode
	}
	if rcode := s.prescan(zone, r.Ns); rcode != dns.RcodeSuccess {
		return rcode
	}
	for _, rr := range r.Ns {
		s.apply(zone, rr)
	}
	return dns.RcodeSuccess
}

// prerequisites checks RFC 2136 §3.2. s.mu is held.
func (s *playgroundStore) prerequisites(zone string, rrs []dns.RR) int {
	wanted := map[string]map[uint16][]dns.RR{}
	for _, rr := range rrs {
		h := rr.Header()
		name := dns.CanonicalName(h.Name)
		if !dns.IsSubDomain(zone, name) {
			return dns.RcodeNotZone
		}
		if h.Ttl != 0 {
			return dns.RcodeFormatError
		}
		sets, set := s.names[name], s.names[name][h.Rrtype]
		switch {
		case h.Class == dns.ClassANY && h.Rrtype == dns.TypeANY:
			if len(sets) == 0 {
				return dns.RcodeNameError
			}
		case h.Class == dns.ClassANY:
			if set == nil {
				return dns.RcodeNXRrset
			}
		case h.Class == dns.ClassNONE && h.Rrtype == dns.TypeANY:
			if len(sets) > 0 {
				return dns.RcodeYXDomain
			}
		case h.Class == dns.ClassNONE:
			if set != nil {
				return dns.RcodeYXRrset
			}
		case h.Class == dns.ClassINET:
			if wanted[name] == nil {
				wanted[name] = map[uint16][]dns.RR{}
			}
			wanted[name][h.Rrtype] = append(wanted[name][h.Rrtype], rr)
		default:
			return dns.RcodeFormatError
		}
	}
	for name, types := range wanted {
		for t, want := range types {
			set := s.names[name][t]
			if set == nil || len(set.rrs) != len(want) {
				return dns.RcodeNXRrset
			}
			for _, rr := range want {
				if !slices.ContainsFunc(set.rrs,
					func(have dns.RR) bool { return dns.IsDuplicate(have, rr) }) {
					return dns.RcodeNXRrset
				}
			}
		}
	}
	return dns.RcodeSuccess
}

// prescan checks RFC 2136 §3.4.1, so that applying the update can't fail halfway.
func (s *playgroundStore) prescan(zone string, rrs []dns.RR) int {
	for _, rr := range rrs {
		h := rr.Header()
		if !dns.IsSubDomain(zone, dns.CanonicalName(h.Name)) {
			return dns.RcodeNotZone
		}
		known := slices.Contains(playgroundTypes, h.Rrtype)
		switch h.Class {
		case dns.ClassINET:
			if !known || h.Rdlength == 0 || h.Ttl > maxPlaygroundTTL {
				return dns.RcodeRefused
			}
		case dns.ClassANY:
			if h.Ttl != 0 || h.Rdlength != 0 {
				return dns.RcodeFormatError
			}
		case dns.ClassNONE:
			if h.Ttl != 0 {
				return dns.RcodeFormatError
			}
		default:
			return dns.RcodeFormatError
		}
	}
	return dns.RcodeSuccess
}

// apply applies one update (RFC 2136 §3.4.2). s.mu is held.
func (s *playgroundStore) apply(zone string, rr dns.RR) {
	h := rr.Header()
	name := dns.CanonicalName(h.Name)
	set := s.names[name][h.Rrtype]
	switch {
	case h.Class == dns.ClassANY:
		for t := range s.names[name] {
			if kept := name == zone && t == dns.TypeNS; (h.Rrtype == dns.TypeANY ||
				h.Rrtype == t) && !kept {
				s.drop(name, t)
			}
		}
	case h.Class == dns.ClassNONE && set != nil:
		gone := dns.Copy(rr)
		gone.Header().Class = dns.ClassINET
		left := slices.DeleteFunc(slices.Clone(set.rrs),
			func(have dns.RR) bool { return dns.IsDuplicate(have, gone) })
		switch {
		case len(left) == len(set.rrs):
		case len(left) == 0:
			s.drop(name, h.Rrtype)
		default:
			s.put(name, h.Rrtype, left)
		}
	case h.Class == dns.ClassINET:
		if _, collides := s.collides(name, h.Rrtype); collides {
			return // "silently ignored"
		}
		added := dns.Copy(rr)
		added.Header().Name = name
		rrs := []dns.RR{added}
		if set != nil && h.Rrtype != dns.TypeCNAME {
			for _, have := range set.rrs {
				if !dns.IsDuplicate(have, added) {
					have = dns.Copy(have)
					have.Header().Ttl = h.Ttl // one TTL for a set (RFC 2181 §5.2)
					rrs = append(rrs, have)
				}
			}
		}
		s.put(name, h.Rrtype, rrs)
	}
}
