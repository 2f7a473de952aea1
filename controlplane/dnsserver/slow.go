package dnsserver

import (
	"encoding/binary"
	"strings"

	"github.com/miekg/dns"
)

// slow answers any message with miekg/dns. done is the lookup from the wait field of an earlier
// reply to the same message, or nil.
func (s *Server) slow(out, pkt []byte, tcp bool, now int64, done *call) reply {
	if len(pkt) < headerLen || pkt[2]&0x80 != 0 { // responses are never answered
		return reply{}
	}
	if opcode := pkt[2] >> 3 & 0xf; opcode != dns.OpcodeQuery {
		return headerOnly(out, pkt, dns.RcodeNotImplemented)
	}
	if binary.BigEndian.Uint16(pkt[4:]) != 1 { // RFC 9619
		return headerOnly(out, pkt, dns.RcodeFormatError)
	}
	req := new(dns.Msg)
	if err := req.Unpack(pkt); err != nil || !complete(req, pkt) {
		return headerOnly(out, pkt, dns.RcodeFormatError)
	}
	res := new(dns.Msg)
	res.SetReply(req)
	res.Compress = true
	opt, ok := edns(req)
	if !ok {
		res.Rcode = dns.RcodeFormatError
		return pack(out, res, nil, tcp)
	}
	if opt != nil && opt.Version() != 0 {
		res.Rcode = dns.RcodeBadVers // RFC 6891 §6.1.3
		return pack(out, res, opt, tcp)
	}
	if c := s.resolve(res, req, now, done); c != nil {
		return reply{wait: c}
	}
	return pack(out, res, opt, tcp)
}

// resolve fills in the answer, or returns the lookup to wait for.
func (s *Server) resolve(res, req *dns.Msg, now int64, done *call) *call {
	q := req.Question[0]
	switch {
	case q.Qtype == dns.TypeOPT || len(req.Answer) > 0 || len(req.Ns) > 0 &&
		q.Qtype != dns.TypeIXFR:
		res.Rcode = dns.RcodeFormatError
		return nil
	case q.Qclass != dns.ClassINET || !dns.IsSubDomain(s.static.zone, q.Name) ||
		q.Qtype >= dns.TypeTKEY && q.Qtype < dns.TypeANY: // no transfers, no transactions
		res.Rcode = dns.RcodeRefused
		return nil
	}
	res.Authoritative = true
	if n, ok := s.static.nodes[dns.CanonicalName(q.Name)]; ok {
		s.fill(res, n[q.Qtype])
		s.addGlue(res)
		return nil
	}
	label, rest, _ := strings.Cut(q.Name, ".")
	k, ok := target(s.static, label)
	if !ok || dns.CanonicalName(rest) != s.static.zone {
		s.deny(res, dns.RcodeNameError)
		return nil
	}
	var buf shortRecords
	st, recs, c := s.recall(k, now, done, &buf)
	switch st {
	case pending:
		return c
	case unknown:
		res.Authoritative = false
		res.Rcode = dns.RcodeServerFailure
	case absent:
		s.deny(res, dns.RcodeNameError)
	case exists:
		s.fill(res, challengeRRs(q, recs, now))
	}
	return nil
}

// fill adds a record set of the queried name to the answer, with the name in the case of the
// question. Without records the answer is NODATA (RFC 2308 §2.2). For ANY it is always minimal (RFC
// 8482 §4.2).
func (s *Server) fill(res *dns.Msg, rrs []dns.RR) {
	q := res.Question[0]
	if q.Qtype == dns.TypeANY {
		rrs = []dns.RR{&dns.HINFO{Cpu: "RFC8482", Hdr: dns.RR_Header{Rrtype: dns.TypeHINFO,
			Class: dns.ClassINET, Ttl: ttlNegative}}}
	}
	if len(rrs) == 0 {
		s.deny(res, dns.RcodeSuccess)
		return
	}
	for _, rr := range rrs {
		rr = dns.Copy(rr)
		rr.Header().Name = q.Name
		res.Answer = append(res.Answer, rr)
	}
}

func (s *Server) deny(res *dns.Msg, rcode int) {
	res.Rcode = rcode
	res.Ns = []dns.RR{s.static.negative}
}

// addGlue adds the name servers' addresses to an answer of NS records.
func (s *Server) addGlue(res *dns.Msg) {
	if len(res.Answer) > 0 && res.Answer[0].Header().Rrtype == dns.TypeNS {
		res.Extra = append(res.Extra, s.static.glue...)
	}
}

func challengeRRs(q dns.Question, recs records, now int64) (rrs []dns.RR) {
	if q.Qtype != dns.TypeTXT {
		return nil
	}
	for len(recs) > 0 {
		expires, packed, rest := recs.next()
		if expires > now {
			// The packed record's owner is a pointer to the position after the header, where the
			// root name is placed here.
			msg := make([]byte, headerLen, headerLen+1+len(packed))
			rr, _, err := dns.UnpackRR(append(append(msg, 0), packed...), headerLen+1)
			if err == nil {
				rrs = append(rrs, rr)
			}
		}
		recs = rest
	}
	return rrs
}

// complete reports whether the message contains as many records as its header states. miekg/dns
// accepts truncated messages.
func complete(m *dns.Msg, pkt []byte) bool {
	return len(m.Question) == 1 && len(m.Answer) == int(binary.BigEndian.Uint16(pkt[6:])) &&
		len(m.Ns) == int(binary.BigEndian.Uint16(pkt[8:])) &&
		len(m.Extra) == int(binary.BigEndian.Uint16(pkt[10:]))
}

// edns returns the OPT record, or nil. It returns false if there are several or if one is not at
// the root (RFC 6891 §6.1.1).
func edns(m *dns.Msg) (opt *dns.OPT, ok bool) {
	for _, rr := range m.Extra {
		if o, is := rr.(*dns.OPT); is {
			if opt != nil || o.Hdr.Name != "." {
				return nil, false
			}
			opt = o
		}
	}
	return opt, true
}

// pack packs the message within the size limit: without the additional section if that is enough,
// otherwise empty and truncated.
func pack(out []byte, res *dns.Msg, opt *dns.OPT, tcp bool) reply {
	size := limit(tcp, false, 0)
	var o []dns.RR
	if opt != nil {
		size = limit(tcp, true, opt.UDPSize())
		own := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
		own.SetUDPSize(udpSize)
		if opt.Do() {
			own.SetDo()
		}
		o = []dns.RR{own}
	}
	extra := res.Extra
	res.Extra = append(extra[:len(extra):len(extra)], o...)
	wire, err := res.PackBuffer(out[:cap(out)])
	if err == nil && len(wire) > size && len(extra) > 0 {
		res.Extra = o
		wire, err = res.PackBuffer(out[:cap(out)])
	}
	if err != nil || len(wire) > size {
		res.Truncated = true
		res.Answer, res.Ns, res.Extra = nil, nil, o
		if wire, err = res.PackBuffer(out[:cap(out)]); err != nil {
			return reply{} // cannot happen: the question was unpacked before
		}
	}
	return reply{wire: wire, qtype: res.Question[0].Qtype, rcode: res.Rcode, tc: res.Truncated}
}

// headerOnly returns the answer to a malformed message or to one that is not a query.
func headerOnly(out, pkt []byte, rcode int) reply {
	out = append(out[:0], pkt[0], pkt[1], 0x80|pkt[2]&0x79, byte(rcode), 0, 0, 0, 0, 0, 0, 0, 0)
	return reply{wire: out, rcode: rcode}
}
