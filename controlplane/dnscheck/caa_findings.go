package dnscheck

import (
	"context"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// caaFindings returns for each CA whether it may issue. If the zone's name servers answer, all of
// their answers count, because a CA may query any of them. If no resolver gets an answer, CAs do
// not either; bogusAt is then the name with invalid DNSSEC signatures, if any.
func (l *lookup) caaFindings(
	ctx context.Context, sets []relevantSet, names certified, cas []CAIdentity,
) (out []controlplane.CAAFinding, bogusAt string) {
	counting, resolved := countingSets(sets)
	out = make([]controlplane.CAAFinding, len(cas))
	for i, ca := range cas {
		f := controlplane.CAAFinding{CA: ca.Name, Identities: ca.Identities, Records: []string{},
			Code: controlplane.CauseOK, Allowed: true}
		if f.Identities == nil {
			f.Identities = []string{}
		}
		switch {
		case len(ca.Identities) == 0:
			f.Summary = "The CAA issuer domain names of " + ca.Name +
				" are unknown, so its CAA authorization is not checked."
		case !resolved:
			bogusAt = l.lookupFailed(ctx, &f, sets)
		default:
			ca, f.ForbiddenAccounts = forAccount(counting, ca, names)
			l.applySets(ctx, &f, counting, ca, names)
		}
		out[i] = f
	}
	return out, bogusAt
}

// countingSets returns the sets that a CA may get, and whether a resolver got one.
func countingSets(sets []relevantSet) (counting []relevantSet, resolved bool) {
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
	if counting = servers; len(servers) == 0 {
		counting = resolvers
	}
	return counting, len(resolvers) > 0
}

// applySets sets the finding of a CA from the first set that does not authorize it, or else from
// the first set.
func (l *lookup) applySets(
	ctx context.Context, f *controlplane.CAAFinding, sets []relevantSet, ca CAIdentity,
	names certified,
) {
	verdicts := make([]caaVerdict, len(sets))
	forbids := 0
	for i, s := range sets {
		verdicts[i] = judge(s.rrs, ca, names)
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
		f.Summary = "Neither " + display(l.domain) +
			" nor its parent domains have CAA records, so every CA may issue."
	case v.why == "":
		f.Summary = "The CAA records at " + display(s.at) + " authorize " + caName(ca) + "."
	default:
		f.Allowed, f.Code = false, controlplane.CauseCAAForbids
		f.Summary = "The CAA records at " + display(s.at) + " do not authorize " + caName(ca) +
			forNames(l.domain, names) + ". " + v.why
		if forbids < len(sets) {
			f.Summary += " " + s.source.label +
				" returns these records. Other servers already return different ones, and a CA may query any of them."
		}
		l.fix(ctx, f, s, v)
	}
}

// fix sets the records that would authorize the CA, and where to create them.
func (l *lookup) fix(ctx context.Context, f *controlplane.CAAFinding, s relevantSet, v caaVerdict) {
	z := l.domainZone(ctx)
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
		steps = append(steps, "Remove the record "+caaData(v.critical[0])+" at "+owner+
			", or set its flags to 0.")
	}
	for _, a := range v.add {
		f.Add = append(f.Add, at+" CAA "+a.String())
	}
	if len(v.add) > 0 {
		text := l.instructCAA("Add "+these(v.add), z, at, v.add)
		if foreign {
			text = "The records are at " + display(s.alias) + ", the target of the CNAME at " +
				display(s.at) + ", and also apply to the latter (RFC 8659 §3). " +
				"Ask the operator of that name to authorize " + f.CA +
				", or replace the CNAME with address records and " +
				l.instructCAA("add "+these(v.add), z, at, v.add)
		}
		if above {
			text += "\nThey replace the records at " + display(s.at) + " for " + display(at) +
				" and all names below it. Add a record for every other CA that issues there."
		}
		if v.loose {
			text += "\nThis service's account at the CA is not known yet, so this authorizes every account of the CA."
		}
		steps = append(steps, text)
	}
	f.Fix = strings.Join(steps, "\n")
	f.Expected = strings.Join(f.Add, "; ")
	if f.Expected == "" {
		f.Expected = "no critical property that CAs do not support"
	}
}

// lookupFailed sets the finding if the lookup failed at every resolver. If no resolver is
// reachable, that is a local problem, and the records are unknown. It returns the name with invalid
// DNSSEC signatures, if any.
func (l *lookup) lookupFailed(
	ctx context.Context, f *controlplane.CAAFinding, sets []relevantSet,
) (bogusAt string) {
	f.Allowed = false
	i := slices.IndexFunc(sets, func(s relevantSet) bool {
		return !s.source.authoritative && (s.reply.msg != nil ||
			(isUpstream(s.reply.err) && l.resolverAnswered()))
	})
	if i < 0 {
		f.Code = controlplane.CauseResolverUnreachable
		f.Summary = "No resolver is reachable, so the CAA records of " + display(l.domain) +
			" are unknown."
		f.Observed, f.Count, f.Expected = "no answer", 1, "an answer from a resolver"
		f.Fix = controlplane.FixOf(f.Code)
		return ""
	}
	s := sets[i]
	f.Code = controlplane.CauseCAALookupFailed
	observed := s.seen()
	f.Observed, f.Count = controlplane.Observed(observed, "; "), len(observed)
	f.Expected = "a valid answer for " + display(s.failedAt) + " CAA, which may be empty"
	f.Summary = "The lookup of the CAA records of " + display(s.failedAt) +
		" fails, so CAs do not issue."
	z := l.domainZone(ctx)
	switch {
	case l.validationFails(ctx, question{name: s.failedAt, qtype: dns.TypeCAA}):
		f.Summary += " The DNSSEC signatures are invalid."
		f.Fix = controlplane.FixOf(controlplane.CauseDNSSECBogus)
		return s.failedAt
	case !dns.IsSubDomain(z.apex, s.failedAt):
		f.Fix = display(s.failedAt) + " is not in the zone " + display(z.apex) +
			": report to its operator that its name servers do not answer. " +
			"Alternatively, add CAA records at " + display(z.apex) +
			", because CAs do not query names above existing records."
	default:
		f.Fix = "Check that every name server of " + display(z.apex) + serverList(z) +
			" answers queries of type CAA (257) without an error, even if no record exists. " +
			"Update name servers, firewalls, and load balancers that fail on unknown record types."
	}
	return ""
}

// seen returns the observations, the first of them with its source.
func (s relevantSet) seen() []string {
	who := []string{s.source.label}
	switch {
	case s.failedAt != "":
		return []string{controlplane.SeenBy(display(s.failedAt)+" CAA: "+s.reply.failure(), who)}
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

func forNames(domain string, names certified) string {
	switch {
	case names.wildcard && names.plain:
		return " for " + display(domain) + " and *." + display(domain)
	case names.wildcard:
		return " for *." + display(domain)
	}
	return ""
}

func these(add []caaProperty) string {
	if len(add) > 1 {
		return "these records"
	}
	return "this record"
}

func serverList(z zone) string {
	if len(z.servers) == 0 {
		return ""
	}
	return " (" + joined(z.servers) + ")"
}

// display0 is display, but returns "" for "".
func display0(name string) string {
	if name == "" {
		return ""
	}
	return display(name)
}
