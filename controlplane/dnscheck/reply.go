package dnscheck

import (
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// reply is the result of a query. Both fields are set if a name server answered that is not
// authoritative.
type reply struct {
	msg *dns.Msg
	err error
}

// usable reports whether the reply shows that records exist or that they do not.
func (r reply) usable() bool {
	return r.err == nil && r.msg != nil &&
		(r.msg.Rcode == dns.RcodeSuccess || r.msg.Rcode == dns.RcodeNameError)
}

// nxdomain reports whether the name does not exist.
func (r reply) nxdomain() bool { return r.usable() && r.msg.Rcode == dns.RcodeNameError }

// records returns the records of one type at the name itself.
func (r reply) records(name string, t uint16) []dns.RR {
	if r.msg == nil {
		return nil
	}
	var out []dns.RR
	for _, rr := range r.msg.Answer {
		if h := rr.Header(); h.Rrtype == t && dns.CanonicalName(h.Name) == name {
			out = append(out, rr)
		}
	}
	return out
}

// cname returns the target of the name's CNAME in canonical form, or "".
func (r reply) cname(name string) string {
	for _, rr := range r.records(name, dns.TypeCNAME) {
		return dns.CanonicalName(rr.(*dns.CNAME).Target)
	}
	return ""
}

// soa returns the SOA of a negative answer (RFC 2308 §3), or nil.
func (r reply) soa() *dns.SOA {
	if r.msg == nil {
		return nil
	}
	for _, rr := range r.msg.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa
		}
	}
	return nil
}

// negativeTTL returns how long a cache may keep this negative answer (RFC 2308 §5), or 0 if it does
// not contain that time.
func (r reply) negativeTTL() time.Duration {
	soa := r.soa()
	if soa == nil {
		return 0
	}
	return time.Duration(min(soa.Hdr.Ttl, soa.Minttl)) * time.Second
}

// ttl returns the TTL of the records at a name, or 0 if they are missing.
func (r reply) ttl(name string, t uint16) time.Duration {
	for _, rr := range r.records(name, t) {
		return time.Duration(rr.Header().Ttl) * time.Second
	}
	return 0
}

// extendedError returns a server's explanation of a failure (RFC 8914), or "".
func extendedError(m *dns.Msg) string {
	opt := m.IsEdns0()
	if opt == nil || m.Rcode == dns.RcodeSuccess {
		return ""
	}
	var parts []string
	for _, o := range opt.Option {
		ede, ok := o.(*dns.EDNS0_EDE)
		if !ok {
			continue
		}
		text := dns.ExtendedErrorCodeToString[ede.InfoCode]
		if ede.ExtraText != "" {
			text = strings.TrimPrefix(text+": "+ede.ExtraText, ": ")
		}
		parts = append(parts, text)
	}
	return controlplane.Shorten(strings.Join(parts, "; "))
}
