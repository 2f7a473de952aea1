package devstack

import (
	"context"
	"errors"

	"github.com/miekg/dns"
)

// answerSigned answers an update, or a query for what the name server itself has, and signs the
// response like the request. It rejects a signature that is not valid (RFC 8945 §5.2).
func (p *Playground) answerSigned(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) {
	request := r.IsTsig()
	if err := w.TsigStatus(); err != nil {
		m := new(dns.Msg).SetRcode(r, dns.RcodeNotAuth)
		rejected := &dns.TSIG{Hdr: dns.RR_Header{Name: request.Hdr.Name, Rrtype: dns.TypeTSIG,
			Class: dns.ClassANY}, Algorithm: request.Algorithm, TimeSigned: request.TimeSigned,
			Fudge: request.Fudge, OrigId: r.Id, Error: dns.RcodeBadSig}
		if errors.Is(err, dns.ErrSecret) || errors.Is(err, dns.ErrKeyAlg) {
			rejected.Error = dns.RcodeBadKey
		}
		m.Extra = append(m.Extra, rejected)
		if raw, err := m.Pack(); err == nil { // unsigned, as the key is unknown
			_, _ = w.Write(raw)
		}
		return
	}
	var m *dns.Msg
	if r.Opcode == dns.OpcodeUpdate {
		m = p.updates.answer(r)
	} else {
		m = p.answer(ctx, r, false)
	}
	m.SetTsig(request.Hdr.Name, request.Algorithm, 300, int64(request.TimeSigned)) // 48 bits
	_ = w.WriteMsg(m)                                                              // errors of disconnected clients are ignored
}
