package dnscheck

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Examine checks concurrently everything that a CA checks: the delegation of domain to target, the
// CAA records for each of cas, and DNSSEC. The arguments are those of Delegation and CAA. DNS
// failures are returned in the examination. An error means that ctx is done or that an argument is
// not a domain name. All answers are received during the call.
func (d *Doctor) Examine(
	ctx context.Context, domain, target string, wildcard bool, cas []CAIdentity,
) (controlplane.Examination, error) {
	if err := checkNames(domain, target); err != nil {
		return controlplane.Examination{}, err
	}
	return newLookup(d, domain, target).examine(ctx, certified{true, wildcard}, cas)
}

// Rehearse is Examine for a check that nobody waits for. It reuses answers about the zone, its name
// servers, and CAA records that earlier checks have received, within their TTL, an hour at most.
// The challenge name is queried in any case. If the answers show a cause, those that were reused
// are requested again, so that only current answers prevent an issuance. The diagnoses are of the
// time of the oldest answer.
func (d *Doctor) Rehearse(
	ctx context.Context, domain, target string, wildcard bool, cas []CAIdentity,
) (controlplane.Examination, error) {
	if err := checkNames(domain, target); err != nil {
		return controlplane.Examination{}, err
	}
	l := newLookup(d, domain, target)
	l.since = 0
	return l.rehearse(ctx, certified{true, wildcard}, cas)
}

func (l *lookup) rehearse(
	ctx context.Context, names certified, cas []CAIdentity,
) (controlplane.Examination, error) {
	e, err := l.examine(ctx, names, cas)
	if err != nil || e.OK() || !l.reused() {
		return e, err
	}
	return l.again().examine(ctx, names, cas)
}

func checkNames(names ...string) error {
	for _, name := range names {
		if _, ok := dns.IsDomainName(name); !ok || name == "" {
			return fmt.Errorf("dnscheck: invalid domain name %q", name)
		}
	}
	return nil
}

func (l *lookup) examine(
	ctx context.Context, names certified, cas []CAIdentity,
) (controlplane.Examination, error) {
	l.caa = len(cas) > 0
	bounded, cancel := l.bounded(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var f findings
	var sets []relevantSet
	wg.Go(func() { f = l.collect(bounded) })
	if l.caa {
		wg.Go(func() { sets = l.relevantSets(bounded) })
	}
	wg.Wait()
	l.explain(bounded, &f)
	e := controlplane.Examination{Delegation: l.diagnose(bounded, f)}
	var bogusAt string
	e.CAA, bogusAt = l.caaFindings(bounded, sets, names, known(cas))
	switch e.DNSSEC = l.dnssec(bounded, f); {
	case e.DNSSEC == controlplane.DNSSECBogus:
		bogusAt = l.challenge
	case bogusAt != "":
		e.DNSSEC = controlplane.DNSSECBogus
	}
	if err := ctx.Err(); err != nil {
		return controlplane.Examination{}, err
	}
	e.Delegation.CheckedAt = l.current()
	e.Delegation.Evidence = l.observations()
	l.rank(&e, f, bogusAt)
	e.Clear = l.clear(e, sets, names, known(cas))
	return e, nil
}

// rank orders the causes. Without the delegation nothing else matters. Invalid signatures make all
// other checks fail. Then follows CAA, because another CA may still issue, and a target that is not
// served, which the customer cannot fix.
func (l *lookup) rank(e *controlplane.Examination, f findings, bogusAt string) {
	e.Causes, e.Warnings = []controlplane.Diagnosis{}, []controlplane.Diagnosis{}
	notServed := e.Delegation.Code == controlplane.CauseTargetNotServed
	if !e.Delegation.OK() && !notServed {
		e.Causes = append(e.Causes, e.Delegation)
	}
	if bogusAt != "" && e.Delegation.Code != controlplane.CauseDNSSECBogus {
		e.Causes = append(e.Causes, l.bogus(f, bogusAt))
	}
	caaCauses := &e.Causes
	if len(e.Allowed()) > 0 {
		caaCauses = &e.Warnings
	}
	for _, code := range []string{controlplane.CauseCAALookupFailed, controlplane.CauseCAAForbids,
		controlplane.CauseResolverUnreachable} {
		if code == e.Delegation.Code {
			continue // already reported
		}
		if d, ok := caaDiagnosis(code, e.CAA); ok {
			d.Zone, d.DNSHost = e.Delegation.Zone, e.Delegation.DNSHost
			*caaCauses = append(*caaCauses, d)
		}
	}
	if notServed {
		e.Causes = append(e.Causes, e.Delegation)
	}
	if e.Delegation.OK() {
		e.Warnings = append(e.Warnings, l.warnings(f)...)
	}
	for _, list := range [][]controlplane.Diagnosis{e.Causes, e.Warnings} {
		for i := range list {
			list[i].CheckedAt, list[i].Evidence = e.Delegation.CheckedAt, e.Delegation.Evidence
		}
	}
}

// caaDiagnosis combines the findings with one code. Authorizing one CA is enough, so the fix is for
// the first CA and lists the records for the others.
func caaDiagnosis(code string, findings []controlplane.CAAFinding) (controlplane.Diagnosis, bool) {
	var d controlplane.Diagnosis
	var others []string
	for _, f := range findings {
		switch {
		case f.Code != code:
		case d.Code == "":
			d = controlplane.Diagnosis{Code: code, Summary: f.Summary, Observed: f.Observed,
				Count: f.Count, Expected: f.Expected, Fix: f.Fix}
		case code == controlplane.CauseCAAForbids:
			others = append(others, f.CA)
			if len(f.Add) > 0 {
				d.Fix += "\nTo authorize " + f.CA + ": " + strings.Join(f.Add, " and ")
			}
		}
	}
	if len(others) > 0 {
		d.Summary += " They do not authorize " + strings.Join(others, ", ") + " either."
	}
	return d, d.Code != ""
}
