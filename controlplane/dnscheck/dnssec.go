package dnscheck

import (
	"context"
	"slices"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// validationFails reports whether a query that fails succeeds without DNSSEC validation. Then the
// zone is reachable, and its signatures are invalid (RFC 4035 §3.2.2).
func (l *lookup) validationFails(ctx context.Context, q question) bool {
	q.checkingDisabled = true
	return slices.ContainsFunc(l.resolvers,
		func(s source) bool { return l.ask(ctx, s, q).usable() })
}

// dnssec returns the DNSSEC state of the challenge name according to the resolvers: secure if an
// answer has AD set, bogus if the name resolves only without validation. If another resolver still
// answers from its cache, a failing resolver must report bogus itself (RFC 8914), and fail for the
// CNAME too: the failure of a TXT query may be that of the target's zone.
func (l *lookup) dnssec(ctx context.Context, f findings) string {
	answered, bogus := false, false
	for _, c := range f.resolvers {
		answered = answered || c.first.usable()
		bogus = bogus || (c.broken() && saysBogus(c.first.msg) &&
			l.walk(ctx, c.source, l.challenge).broken())
	}
	secure := answered && l.secure(ctx, f)
	switch {
	case bogus:
		return controlplane.DNSSECBogus
	case secure:
		return controlplane.DNSSECSecure
	case !answered && count(f.resolvers, endFailed) > 0 &&
		l.validationFails(ctx, question{name: l.challenge, qtype: dns.TypeCNAME}):
		return controlplane.DNSSECBogus
	case answered && l.validating(ctx):
		return controlplane.DNSSECInsecure
	}
	return controlplane.DNSSECUnknown
}

// secure reports whether a validated answer shows that the challenge name's zone is signed. The
// answer to a TXT query is validated only if the target's zone is signed too, so answers for the
// zone itself also count.
func (l *lookup) secure(ctx context.Context, f findings) bool {
	if l.domainZone(ctx).secure {
		return true
	}
	return slices.ContainsFunc(f.resolvers, func(c chain) bool {
		caa, _ := l.previous(c.source, question{name: l.domain, qtype: dns.TypeCAA})
		return c.first.validated() || caa.validated()
	})
}

// validating reports whether any resolver validates, which it does if it validates the signed root.
func (l *lookup) validating(ctx context.Context) bool {
	return slices.ContainsFunc(l.resolvers, func(s source) bool {
		return l.ask(ctx, s, question{name: ".", qtype: dns.TypeSOA}).validated()
	})
}

// saysBogus reports whether a resolver attributes a failure to DNSSEC (RFC 8914 §4.7 to §4.13).
func saysBogus(m *dns.Msg) bool {
	if m == nil {
		return false
	}
	opt := m.IsEdns0()
	if opt == nil {
		return false
	}
	return slices.ContainsFunc(opt.Option, func(o dns.EDNS0) bool {
		ede, ok := o.(*dns.EDNS0_EDE)
		return ok && ede.InfoCode >= dns.ExtendedErrorCodeDNSBogus &&
			ede.InfoCode <= dns.ExtendedErrorCodeNSECMissing
	})
}
