package dnscheck

import (
	"errors"
	"slices"
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

// validated reports whether a resolver has validated the answer's signatures (RFC 6840 §5.8).
func (r reply) validated() bool { return r.usable() && r.msg.AuthenticatedData }

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

// targets returns the targets of the name's CNAMEs in canonical form, sorted, each once. More than
// one is an error (RFC 2181 §10.1).
func (r reply) targets(name string) []string {
	var out []string
	for _, rr := range r.records(name, dns.TypeCNAME) {
		out = append(out, dns.CanonicalName(rr.(*dns.CNAME).Target))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// cname returns the target of the name's CNAME in canonical form, or "".
func (r reply) cname(name string) string {
	for _, target := range r.targets(name) {
		return target
	}
	return ""
}

// truncated reports whether the answer is incomplete.
func (r reply) truncated() bool { return errors.Is(r.err, errTruncated) }

// failure returns why a reply is not usable, as part of a sentence.
func (r reply) failure() string {
	if r.err != nil {
		return plainError(r.err)
	}
	why := dns.RcodeToString[r.msg.Rcode]
	if more := extendedError(r.msg); more != "" {
		why += ": " + more
	}
	return why
}

// unsigned returns records without their signatures.
func unsigned(rrs []dns.RR) []dns.RR {
	return slices.DeleteFunc(slices.Clone(rrs),
		func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
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
