package dnscheck

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// caaFindings says for each CA whether it may issue. The zone's own name servers count,
// where they answer; each of them does, as a CA may ask any. Where no resolver gets an
// answer, no CA does; bogusAt is then the name whose DNSSEC is why, if it is.
func (l *look) caaFindings(ctx context.Context, sets []relevantSet, wildcard bool, cas []CAIdentity) (out []controlplane.CAAFinding, bogusAt string) {
	var servers, resolvers []relevantSet
	for _, s := range sets {
		switch {
		case s.failedAt != "":
		case s.source.authoritative:
			servers = append(servers, s)
		default:
			resolvers = append(resolvers, s)
		}
	}
	counting := servers
	if len(servers) == 0 {
		counting = resolvers
	}
	out = make([]controlplane.CAAFinding, len(cas))
	for i, ca := range cas {
		f := controlplane.CAAFinding{CA: ca.Name, Identities: ca.Identities, Records: []string{}, Code: controlplane.CauseOK, Allowed: true}
		if f.Identities == nil {
			f.Identities = []string{}
		}
		switch {
		case len(ca.Identities) == 0:
			f.Summary = "It is not known by which domain name " + ca.Name + " is meant in CAA records, so they say nothing about it."
		case len(resolvers) == 0:
			bogusAt = l.lookupFailed(ctx, &f, sets)
		default:
			l.applySets(ctx, &f, counting, ca, wildcard)
		}
		out[i] = f
	}
	return out, bogusAt
}

// applySets fills in what the sets say about a CA: the first that forbids, or else the
// first.
func (l *look) applySets(ctx context.Context, f *controlplane.CAAFinding, sets []relevantSet, ca CAIdentity, wildcard bool) {
	verdicts := make([]caaVerdict, len(sets))
	forbids := 0
	for i, s := range sets {
		verdicts[i] = judge(s.rrs, ca, wildcard)
		if verdicts[i].why != "" {
			forbids++
		}
	}
	i := max(0, slices.IndexFunc(verdicts, func(v caaVerdict) bool { return v.why != "" }))
	s, v := sets[i], verdicts[i]
	f.FoundAt, f.Alias = display0(s.at), display0(s.alias)
	for _, rr := range s.rrs[:min(len(s.rrs), controlplane.MaxObserved)] {
		f.Records = append(f.Records, caaData(rr))
	}
	observed := s.seen()
	f.Observed, f.Count = controlplane.Observed(observed, "; "), len(observed)
	switch {
	case s.at == "":
		f.Summary = "No CAA records stand at " + display(l.domain) + " or above it, so every CA may issue."
	case v.why == "":
		f.Summary = "The CAA records at " + display(s.at) + " let " + caName(ca) + " issue."
	default:
		f.Allowed, f.Code = false, controlplane.CauseCAAForbids
		f.Summary = "The CAA records at " + display(s.at) + " do not let " + caName(ca) + " issue" + forWhom(l.domain, wildcard) + ". " + v.why
		if forbids < len(sets) {
			f.Summary += " So says " + s.source.label + "; others answer otherwise already, and a CA may ask either."
		}
		l.remedy(ctx, f, s, v)
	}
}

// remedy says which records would allow the CA, and where they belong.
func (l *look) remedy(ctx context.Context, f *controlplane.CAAFinding, s relevantSet, v caaVerdict) {
	z := l.theZone(ctx)
	apex := z.apex
	at, foreign, above := s.at, false, false
	switch {
	case s.alias != "" && dns.IsSubDomain(apex, s.alias):
		at = s.alias
	case s.alias != "":
		foreign = true
	case !dns.IsSubDomain(apex, s.at):
		at, above = apex, true
	}
	var steps []string
	if len(v.critical) > 0 {
		owner := display(v.critical[0].Hdr.Name)
		steps = append(steps, "Remove the record "+caaData(v.critical[0])+" at "+owner+", or set its flags to 0.")
	}
	for _, a := range v.add {
		f.Add = append(f.Add, at+" CAA "+a.String())
	}
	if len(v.add) > 0 {
		text := l.instructCAA("Add "+these(v.add), z, at, v.add)
		if foreign {
			text = "The records come from " + display(s.alias) + ", where the CNAME at " + display(s.at) + " leads, and count for it too (RFC 8659 §3). " +
				"Ask whoever runs that name to let " + f.CA + " issue, or put address records in the place of the CNAME and " + l.instructCAA("add "+these(v.add), z, at, v.add)
		}
		if above {
			text += "\nThey take the place of the records at " + display(s.at) + " for " + display(at) + " and all below it: add one for every other CA that is to issue there."
		}
		if v.loose {
			text += "\nOur account there is not known yet, so this allows every account of the CA."
		}
		steps = append(steps, text)
	}
	f.Fix = strings.Join(steps, "\n")
	f.Expected = strings.Join(f.Add, "; ")
	if f.Expected == "" {
		f.Expected = "no critical property that CAs do not know"
	}
}

// lookupFailed says that the look-up failed at every resolver. Where none could be asked,
// that is ours to mend, and nothing was learned. It returns the name where DNSSEC is why.
func (l *look) lookupFailed(ctx context.Context, f *controlplane.CAAFinding, sets []relevantSet) (bogusAt string) {
	f.Allowed = false
	i := slices.IndexFunc(sets, func(s relevantSet) bool {
		theirs := timedOut(s.reply.err) || errors.Is(s.reply.err, errUnreadable)
		return !s.source.authoritative && (s.reply.msg != nil || (theirs && l.hasHeard()))
	})
	if i < 0 {
		f.Code = controlplane.CauseResolverUnreachable
		f.Summary = "No resolver could be asked, so nothing is known about CAA records of " + display(l.domain) + " now."
		f.Observed, f.Count, f.Expected = "no answer", 1, "an answer from a resolver"
		f.Fix = unreachableFix
		return ""
	}
	s := sets[i]
	f.Code = controlplane.CauseCAALookupFailed
	observed := s.seen()
	f.Observed, f.Count = controlplane.Observed(observed, "; "), len(observed)
	f.Expected = display(s.failedAt) + " CAA answered, if only by saying that there is none"
	f.Summary = "The CAA records of " + display(s.failedAt) + " cannot be looked up, and then CAs do not issue."
	z := l.theZone(ctx)
	switch {
	case l.validationFails(ctx, question{name: s.failedAt, qtype: dns.TypeCAA}):
		f.Summary += " The DNSSEC signatures do not verify."
		f.Fix = bogusFix
		return s.failedAt
	case !dns.IsSubDomain(z.apex, s.failedAt):
		f.Fix = "The zone of " + display(s.failedAt) + " is not " + display(z.apex) + ": tell those who run it that its name servers do not answer. " +
			"CAA records at " + display(z.apex) + " make that question needless, as nobody looks above them."
	default:
		f.Fix = "Make sure that every name server of " + display(z.apex) + whose(z) + " answers questions of type CAA (257), with no error where there is no such record. " +
			"Old name servers, firewalls and load balancers that fail on types they do not know have to be updated."
	}
	return ""
}

// seen is what was observed, the first value with who saw it.
func (s relevantSet) seen() []string {
	who := []string{s.source.label}
	switch {
	case s.failedAt != "" && s.reply.msg == nil:
		return []string{controlplane.SeenBy(display(s.failedAt)+" CAA: "+plainError(s.reply.err), who)}
	case s.failedAt != "":
		why := dns.RcodeToString[s.reply.msg.Rcode]
		if more := extendedError(s.reply.msg); more != "" {
			why += ": " + more
		}
		return []string{controlplane.SeenBy(display(s.failedAt)+" CAA: "+why, who)}
	case s.at == "":
		return []string{controlplane.SeenBy("no CAA records", who)}
	}
	rrs := make([]dns.RR, len(s.rrs))
	for i, rr := range s.rrs {
		rrs[i] = rr
	}
	values := data(rrs)
	if s.alias != "" {
		values[0] = display(s.at) + " → " + values[0]
	}
	values[0] = controlplane.SeenBy(values[0], who)
	return values
}

func caName(ca CAIdentity) string {
	if slices.Contains(ca.Identities, ca.Name) {
		return ca.Name
	}
	return ca.Name + " (" + ca.Identities[0] + ")"
}

func forWhom(domain string, wildcard bool) string {
	if wildcard {
		return " for " + display(domain) + " and *." + display(domain)
	}
	return ""
}

func these(add []caaProperty) string {
	if len(add) > 1 {
		return "these records"
	}
	return "this record"
}

func whose(z zone) string {
	if len(z.servers) == 0 {
		return ""
	}
	return " (" + joined(z.servers) + ")"
}

// display0 is display, with nothing for nothing.
func display0(name string) string {
	if name == "" {
		return ""
	}
	return display(name)
}
