package dnsserver

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

// fast answers a plain question for a name directly below the apex, which is the only kind that
// resolvers normally send. It returns false for other questions and for answers that do not fit.
// slow handles those. Both return the same answers (TestFastIsSlow).
func (s *Server) fast(out, pkt []byte, q question, tcp bool, now int64) (reply, bool) {
	zone := s.static.zoneWire
	start := headerLen + 1 + q.label // offset of the zone's name in the question
	if q.qclass != dns.ClassINET || q.label == 0 || q.end-4-start != len(zone) ||
		!equalFold(pkt[start:q.end-4], zone) ||
		// question types and meta types (RFC 6895 §3.1)
		q.qtype == dns.TypeOPT || q.qtype >= 128 && q.qtype <= 255 {
		return reply{}, false
	}
	var buf shortRecords
	st, recs := absent, records(nil)
	label := pkt[headerLen+1 : start]
	if k, ok := target(s.static, label); ok {
		var c *call
		if st, recs, c = s.recall(k, now, nil, &buf); st == pending {
			return reply{wait: c}, true
		}
	} else if s.static.isChild(label) {
		return reply{}, false
	}

	size := limit(tcp, q.edns, q.size)
	if q.edns {
		size -= optLen
	}
	r := reply{qtype: q.qtype}
	out = append(out[:0], pkt[:q.end]...)
	answers := 0
	if st == exists && q.qtype == dns.TypeTXT {
		for len(recs) > 0 {
			expires, rr, rest := recs.next()
			if expires > now {
				out = append(out, rr...)
				answers++
			}
			recs = rest
		}
	}
	authorities := 0
	if answers == 0 && st != unknown { // RFC 2308 §2
		out = binary.BigEndian.AppendUint16(out, 0xc000|uint16(start))
		out = append(out, s.static.soaTail...)
		authorities = 1
	}
	if len(out) > size {
		return reply{}, false
	}
	aa := byte(0x04)
	switch st {
	case absent:
		r.rcode = dns.RcodeNameError
	case unknown:
		r.rcode, aa = dns.RcodeServerFailure, 0
	}
	r.wire = finish(out, q, aa, r.rcode, false, answers, authorities)
	return r, true
}

// truncated returns the answer for a client over its rate limit: empty and truncated, so that it
// retries over TCP.
func truncated(out, pkt []byte, q question) []byte {
	return finish(append(out[:0], pkt[:q.end]...), q, 0, dns.RcodeSuccess, true, 0, 0)
}

// finish turns a query's header, at the start of out, into that of its answer, and appends the OPT
// record. It sets QR, AA, and TC, keeps RD and CD, and clears RA, Z, and AD.
func finish(out []byte, q question, aa byte, rcode int, tc bool, answers, authorities int) []byte {
	out[2] = 0x80 | aa | out[2]&0x01
	if tc {
		out[2] |= 0x02
	}
	out[3] = out[3]&0x10 | byte(rcode)
	binary.BigEndian.PutUint16(out[6:], uint16(answers))
	binary.BigEndian.PutUint16(out[8:], uint16(authorities))
	out[10], out[11] = 0, 0
	if q.edns {
		do := byte(0)
		if q.do { // RFC 3225 §3: copied
			do = 0x80
		}
		out[11] = 1
		out = append(out, 0, 0, byte(dns.TypeOPT), udpSize>>8, udpSize&0xff, 0, 0, do, 0, 0, 0)
	}
	return out
}

// isChild reports whether a label directly below the apex is that of a name server or of its
// parent.
func (z *static) isChild(label []byte) bool {
	var buf [63]byte
	_, ok := z.children[string(lower(buf[:0], label))]
	return ok
}

// equalFold compares a name in wire format with a lower-case one of the same length. Lengths of
// labels are below 'A', so folding does not change them.
func equalFold(name, lower []byte) bool {
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
