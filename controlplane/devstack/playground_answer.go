package devstack

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	playgroundHops        = 16 // maximum number of CNAMEs to follow
	playgroundNegativeTTL = 1  // seconds (RFC 2308 §5), so that a new record is visible immediately
	playgroundUDPSize     = 1232
)

// playgroundHandler answers DNS over UDP and TCP.
type playgroundHandler struct {
	playground *Playground
	base       context.Context // dns.Handler has no context
}

// acceptPlayground accepts dynamic updates, unlike the library's default.
func acceptPlayground(h dns.Header) dns.MsgAcceptAction {
	const response = 1 << 15
	if h.Bits&response == 0 && int(h.Bits>>11)&0xF == dns.OpcodeUpdate && h.Qdcount == 1 {
		return dns.MsgAccept
	}
	return dns.DefaultMsgAcceptFunc(h)
}

// ServeDNS implements dns.Handler.
func (h *playgroundHandler) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	ctx, cancel := context.WithTimeout(h.base, 5*time.Second)
	defer cancel()
	p := h.playground
	switch {
	case r.IsTsig() != nil:
		p.answerSigned(ctx, w, r)
		return
	case r.Opcode == dns.OpcodeUpdate:
		_ = w.WriteMsg(p.updates.answer(r))
		return
	}
	m := p.answer(ctx, r, true)
	if w.LocalAddr().Network() == "udp" {
		size := dns.MinMsgSize
		if opt := r.IsEdns0(); opt != nil {
			size = min(max(size, int(opt.UDPSize())), playgroundUDPSize)
		}
		m.Truncate(size)
	}
	_ = w.WriteMsg(m) // errors of disconnected clients are ignored
}

// answer resolves a query from its own records. With follow, it follows CNAMEs, and forwards names
// in the validation zone to that zone's server, as a resolver does.
func (p *Playground) answer(ctx context.Context, r *dns.Msg, follow bool) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(r)
	m.Compress, m.RecursionAvailable = true, true
	if opt := r.IsEdns0(); opt != nil {
		m.SetEdns0(playgroundUDPSize, false)
		if opt.Version() != 0 {
			m.Rcode = dns.RcodeBadVers
			return m
		}
	}
	switch {
	case r.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
		return m
	case len(r.Question) != 1:
		m.Rcode = dns.RcodeFormatError
		return m
	case r.Question[0].Qclass != dns.ClassINET, r.Question[0].Qtype == dns.TypeAXFR,
		r.Question[0].Qtype == dns.TypeIXFR:
		m.Rcode = dns.RcodeRefused
		return m
	}
	q := r.Question[0]
	m.Authoritative = !dns.IsSubDomain(p.zone.name, dns.CanonicalName(q.Name))
	seen := []string{}
	for name := dns.CanonicalName(q.Name); ; {
		if slices.Contains(seen, name) || len(seen) > playgroundHops {
			return failed(m, dns.ExtendedErrorCodeOther, "the CNAME chain loops or is too long")
		}
		seen = append(seen, name)
		if dns.IsSubDomain(p.zone.name, name) {
			return p.zone.ask(ctx, m, name, q.Qtype)
		}
		found := p.store.lookup(name, q.Qtype)
		for _, rr := range found.rrs {
			if len(seen) == 1 {
				rr.Header().Name = q.Name // in the case of the query
			}
			m.Answer = append(m.Answer, rr)
		}
		if found.cname == "" || !follow {
			m.Rcode = found.rcode
			m.Ns = append(m.Ns, found.soa...)
			return m
		}
		name = found.cname
	}
}

// failed makes m a SERVFAIL with the reason (RFC 8914).
func failed(m *dns.Msg, code uint16, text string) *dns.Msg {
	m.Rcode = dns.RcodeServerFailure
	if opt := m.IsEdns0(); opt != nil {
		opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: code, ExtraText: text})
	}
	return m
}

// playgroundFound is the store's content for a query.
type playgroundFound struct {
	rrs   []dns.RR // copies
	cname string   // target, if the records are a CNAME and the query has another type
	rcode int
	soa   []dns.RR // for a negative answer (RFC 2308 §3)
}

// lookup answers one query only from the records, without following CNAMEs.
func (s *playgroundStore) lookup(name string, qtype uint16) playgroundFound {
	s.mu.RLock()
	defer s.mu.RUnlock()
	apex := s.apexOf(name)
	sets, exists := s.setsAt(name, apex)
	var found playgroundFound
	for t, set := range sets {
		if t == qtype || t == dns.TypeCNAME || qtype == dns.TypeANY {
			found.rrs = append(found.rrs, copyRecords(name, set.rrs)...)
		}
		if t == dns.TypeCNAME && qtype != dns.TypeCNAME && qtype != dns.TypeANY {
			found.cname = set.rrs[0].(*dns.CNAME).Target
		}
	}
	if len(found.rrs) == 0 {
		found.rrs = s.own(name, apex, qtype)
	}
	if len(found.rrs) == 0 {
		found.soa = []dns.RR{s.soa(apex, playgroundNegativeTTL)}
		if !exists {
			found.rcode = dns.RcodeNameError
		}
	}
	return found
}

// setsAt returns the records at a name, or those of the wildcard that covers it
// (RFC 4592 §3.3), and whether the name exists. s.mu is held.
func (s *playgroundStore) setsAt(name, apex string) (map[uint16]*RecordSet, bool) {
	if strings.HasSuffix("."+name, ".invalid.") {
		return nil, false // RFC 6761 §6.4: to test a nonexistent zone
	}
	if name == apex || s.below[name] > 0 || slices.Contains(playgroundNS[:], name) {
		return s.names[name], true
	}
	for n, more := parentName(name); more; n, more = parentName(n) {
		if n == apex || s.below[n] > 0 {
			sets, ok := s.names["*."+n]
			return sets, ok || apex == "."
		}
	}
	return nil, true
}

// own returns the playground's built-in records: SOA and NS of a zone, and addresses of its name
// servers. s.mu is held.
func (s *playgroundStore) own(name, apex string, qtype uint16) []dns.RR {
	hdr := dns.RR_Header{Name: name, Rrtype: qtype, Class: dns.ClassINET, Ttl: 60}
	switch {
	case name == apex && strings.HasSuffix("."+name, ".invalid."):
		return nil
	case name == apex && qtype == dns.TypeSOA:
		return []dns.RR{s.soa(apex, 60)}
	case name == apex && qtype == dns.TypeNS:
		var rrs []dns.RR
		for _, ns := range playgroundNS {
			rrs = append(rrs, &dns.NS{Hdr: hdr, Ns: ns})
		}
		return rrs
	case slices.Contains(playgroundNS[:], name) && qtype == dns.TypeA && s.ip.To4() != nil:
		return []dns.RR{&dns.A{Hdr: hdr, A: s.ip.To4()}}
	case slices.Contains(playgroundNS[:], name) && qtype == dns.TypeAAAA && s.ip.To4() == nil:
		return []dns.RR{&dns.AAAA{Hdr: hdr, AAAA: s.ip}}
	}
	return nil
}

func (s *playgroundStore) soa(apex string, ttl uint32) dns.RR {
	if strings.HasSuffix("."+apex, ".invalid.") {
		apex = "."
	}
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns:  playgroundNS[0], Mbox: "hostmaster.playground.test.",
		Serial: s.serial, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: playgroundNegativeTTL,
	}
}

func copyRecords(owner string, rrs []dns.RR) []dns.RR {
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
		out[i].Header().Name = owner
	}
	return out
}
