package dnscheck

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Examine looks at everything that a CA will look at, at once: the delegation of domain to
// target, the CAA records for each of cas, and DNSSEC. Domain and target are as for
// Delegation, wildcard and cas as for CAA. Whatever DNS does is in the examination; an
// error means that ctx ended first, or that an argument is no name.
func (d *Doctor) Examine(ctx context.Context, domain, target string, wildcard bool, cas []CAIdentity) (controlplane.Examination, error) {
	for _, name := range []string{domain, target} {
		if _, ok := dns.IsDomainName(name); !ok || name == "" {
			return controlplane.Examination{}, errors.New("dnscheck: " + name + " is no domain name")
		}
	}
	l := newLook(d, domain, target)
	bounded, cancel := context.WithTimeout(ctx, 5*d.timeout)
	defer cancel()
	var wg sync.WaitGroup
	var f findings
	var sets []relevantSet
	wg.Go(func() { f = l.collect(bounded) })
	if len(cas) > 0 {
		wg.Go(func() { sets = l.relevantSets(bounded) })
	}
	wg.Wait()
	e := controlplane.Examination{Delegation: l.diagnose(bounded, f)}
	var bogusAt string
	e.CAA, bogusAt = l.caaFindings(bounded, sets, wildcard, known(cas))
	switch e.DNSSEC = l.dnssec(bounded, f); {
	case e.DNSSEC == controlplane.DNSSECBogus:
		bogusAt = l.challenge
	case bogusAt != "":
		e.DNSSEC = controlplane.DNSSECBogus
	}
	if err := ctx.Err(); err != nil {
		return controlplane.Examination{}, err
	}
	e.Delegation.CheckedAt = d.now().UTC()
	e.Delegation.Evidence = l.observations()
	l.rank(&e, f, bogusAt)
	return e, nil
}

// rank orders what is wrong. Without the delegation nothing else matters; broken signatures
// make all of the rest fail; CAA comes last, as it stops one CA where another may issue.
func (l *look) rank(e *controlplane.Examination, f findings, bogusAt string) {
	e.Causes, e.Warnings = []controlplane.Diagnosis{}, []controlplane.Diagnosis{}
	if !e.Delegation.OK() {
		e.Causes = append(e.Causes, e.Delegation)
	}
	if bogusAt != "" && e.Delegation.Code != controlplane.CauseDNSSECBogus {
		e.Causes = append(e.Causes, l.bogus(f, bogusAt))
	}
	refusing := &e.Causes
	if len(e.Allowed()) > 0 {
		refusing = &e.Warnings
	}
	for _, code := range []string{controlplane.CauseCAALookupFailed, controlplane.CauseCAAForbids, controlplane.CauseResolverUnreachable} {
		if code == e.Delegation.Code {
			continue // said already
		}
		if d, ok := caaDiagnosis(code, e.CAA); ok {
			d.Zone, d.DNSHost = e.Delegation.Zone, e.Delegation.DNSHost
			*refusing = append(*refusing, d)
		}
	}
	for _, list := range [][]controlplane.Diagnosis{e.Causes, e.Warnings} {
		for i := range list {
			list[i].CheckedAt, list[i].Evidence = e.Delegation.CheckedAt, e.Delegation.Evidence
		}
	}
}

// caaDiagnosis is what findings with one code say together. To let one CA issue is enough,
// so the remedy is for the first, and the others' records are named beside it.
func caaDiagnosis(code string, findings []controlplane.CAAFinding) (controlplane.Diagnosis, bool) {
	var d controlplane.Diagnosis
	var others []string
	for _, f := range findings {
		switch {
		case f.Code != code:
		case d.Code == "":
			d = controlplane.Diagnosis{Code: code, Summary: f.Summary, Observed: f.Observed, Count: f.Count, Expected: f.Expected, Fix: f.Fix}
		case code == controlplane.CauseCAAForbids:
			others = append(others, f.CA)
			if len(f.Add) > 0 {
				d.Fix += "\nTo let " + f.CA + " issue: " + strings.Join(f.Add, " and ")
			}
		}
	}
	if len(others) > 0 {
		d.Summary += " Nor do they let " + strings.Join(others, ", ") + " issue."
	}
	return d, d.Code != ""
}
