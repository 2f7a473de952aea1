package controlplane

import (
	"cmp"
	"slices"
)

// NameExamination is the examination of one of a domain's names.
type NameExamination struct {
	Name string // without a wildcard's "*."
	Examination
	// Ready is set if the check found nothing at all.
	Ready *Readiness
	// Shared says that this is a check on behalf of another domain or of the delegation.
	Shared bool
}

// NameCause is why no CA would issue for a name now.
type NameCause struct {
	Name  string
	Cause Diagnosis
}

// DomainExamination is one check of all names of a domain. Its Examination is that of the
// certificate: it can be ordered if Causes is empty, from a CA that may issue for each name that is
// ordered. The first cause and the delegation are those of the most important name.
type DomainExamination struct {
	Examination
	Names []NameExamination // the domain's name first, see Domain.Bases
	// Missing are the names that can't be in a certificate now, the most important first.
	Missing []NameCause
}

// ExamineDomain combines the examinations of a domain's names, at least one.
func ExamineDomain(names []NameExamination) DomainExamination {
	e := DomainExamination{Names: names}
	ready := make(map[string]bool)
	for _, n := range names {
		if ready[n.Name] = n.OK(); !n.OK() {
			e.Missing = append(e.Missing, NameCause{n.Name, n.Cause()})
		}
	}
	if len(names) == 1 {
		e.Examination = names[0].Examination
		return e
	}
	for _, c := range withoutCommonCA(names, ready) {
		ready[c.Name] = false
		e.Missing = append(e.Missing, c)
	}
	slices.SortStableFunc(e.Missing, func(a, b NameCause) int {
		return cmp.Compare(a.Cause.weight(), b.Cause.weight())
	})
	e.Examination = combined(names)
	e.Causes = []Diagnosis{}
	for _, m := range e.Missing {
		e.Causes = append(e.Causes, m.Cause)
	}
	return e
}

// IsMissing reports whether a name can't be in a certificate now.
func (e DomainExamination) IsMissing(name string) bool {
	return slices.ContainsFunc(e.Missing, func(c NameCause) bool { return c.Name == name })
}

// CausesOf returns why a name can't be in a certificate now, the most likely cause first. It is
// empty if the name can.
func (e DomainExamination) CausesOf(n NameExamination) []Diagnosis {
	if !n.OK() {
		return n.Causes
	}
	for _, m := range e.Missing {
		if m.Name == n.Name {
			return []Diagnosis{m.Cause}
		}
	}
	return nil
}

// Partial returns the examination of a certificate without the missing names. It returns e if no
// name is ready, if a missing one is needed, or if the check of one had no result.
func (e DomainExamination) Partial(needed func(name string) bool) DomainExamination {
	for _, m := range e.Missing {
		if m.Cause.Transient() || needed(m.Name) {
			return e
		}
	}
	ready := slices.DeleteFunc(slices.Clone(e.Names),
		func(n NameExamination) bool { return e.IsMissing(n.Name) })
	if len(ready) == 0 {
		return e
	}
	delegation := e.Delegation
	e.Examination = combined(ready)
	e.Delegation, e.Causes = delegation, []Diagnosis{}
	return e
}

// weight orders the causes of several names by importance: without a delegation nothing else
// matters, and only the service can fix what has no result.
func (d Diagnosis) weight() int {
	switch {
	case d.OK():
		return 4
	case d.Transient():
		return 3
	case d.Code == CauseCAAForbids, d.Code == CauseCAALookupFailed:
		return 2
	case d.Code == CauseDNSSECBogus:
		return 1
	}
	return 0
}

// withoutCommonCA returns the ready names that the CA which may issue for most of them may not
// issue for, with the cause. Among equals, the first CA counts.
func withoutCommonCA(names []NameExamination, ready map[string]bool) []NameCause {
	allowed := make(map[string]int)
	best, total := "", 0
	for _, n := range names {
		if !ready[n.Name] {
			continue
		}
		total++
		for _, f := range n.CAA {
			if f.Allowed {
				allowed[f.CA]++
			}
		}
	}
	for _, f := range names[0].CAA {
		if allowed[f.CA] > allowed[best] {
			best = f.CA
		}
	}
	if best == "" || allowed[best] == total {
		return nil
	}
	var out []NameCause
	for _, n := range names {
		for _, f := range n.CAA {
			if ready[n.Name] && f.CA == best && !f.Allowed {
				out = append(out, NameCause{n.Name, Diagnosis{Code: f.Code, Summary: f.Summary,
					Observed: f.Observed, Count: f.Count, Expected: f.Expected, Fix: f.Fix,
					Zone: n.Delegation.Zone, DNSHost: n.Delegation.DNSHost,
					CheckedAt: n.Delegation.CheckedAt}})
			}
		}
	}
	return out
}

// combined returns the examination of a certificate with the names, without causes. A CA is allowed
// if it may issue for each of them.
func combined(names []NameExamination) Examination {
	e := names[0].Examination
	e.CAA, e.Warnings = slices.Clone(e.CAA), slices.Clone(e.Warnings)
	oldest := e.Delegation.CheckedAt
	for _, n := range names[1:] {
		if n.Delegation.CheckedAt.Before(oldest) {
			oldest = n.Delegation.CheckedAt
		}
		if n.Delegation.weight() < e.Delegation.weight() {
			e.Delegation = n.Delegation
		}
		if dnssecWeight(n.DNSSEC) > dnssecWeight(e.DNSSEC) {
			e.DNSSEC = n.DNSSEC
		}
		e.Warnings = append(e.Warnings, n.Warnings...)
		for i := range min(len(e.CAA), len(n.CAA)) {
			e.CAA[i] = stricter(e.CAA[i], n.CAA[i])
		}
	}
	e.Delegation.CheckedAt = oldest
	return e
}

// stricter returns the finding about a CA for two names.
func stricter(a, b CAAFinding) CAAFinding {
	out := a
	if a.Allowed && !b.Allowed {
		out = b
	}
	out.ForbiddenAccounts = slices.Clone(a.ForbiddenAccounts)
	for _, account := range b.ForbiddenAccounts {
		if !slices.Contains(out.ForbiddenAccounts, account) {
			out.ForbiddenAccounts = append(out.ForbiddenAccounts, account)
		}
	}
	return out
}

// dnssecWeight orders the DNSSEC states of several names: the last one is that of all.
func dnssecWeight(state string) int {
	return slices.Index([]string{DNSSECSecure, DNSSECInsecure, DNSSECUnknown, DNSSECBogus}, state)
}

// Undelegated returns the names whose delegation was not verified, the most important first.
func (e DomainExamination) Undelegated() []NameCause {
	var out []NameCause
	for _, n := range e.Names {
		if !n.Delegation.OK() {
			out = append(out, NameCause{n.Name, n.Delegation})
		}
	}
	slices.SortStableFunc(out, func(a, b NameCause) int {
		return cmp.Compare(a.Cause.weight(), b.Cause.weight())
	})
	return out
}
