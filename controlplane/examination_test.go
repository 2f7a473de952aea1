package controlplane_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// examinedName returns the examination of a name with a delegation's code and the CAs that its CAA
// records allow, of CAs a and b.
func examinedName(name, code, allowed string) controlplane.NameExamination {
	n := controlplane.NameExamination{Name: name}
	n.Delegation = controlplane.Diagnosis{Code: code, Summary: code + " at " + name}
	for _, ca := range []string{"a", "b"} {
		f := controlplane.CAAFinding{CA: ca, Allowed: true, Code: controlplane.CauseOK}
		if !slices.Contains([]string{ca, "ab"}, allowed) {
			f.Allowed, f.Code, f.Summary = false, controlplane.CauseCAAForbids, ca+" at "+name
		}
		n.CAA = append(n.CAA, f)
	}
	switch {
	case !n.Delegation.OK():
		n.Causes = []controlplane.Diagnosis{n.Delegation}
	case allowed == "":
		n.Causes = []controlplane.Diagnosis{{Code: controlplane.CauseCAAForbids,
			Summary: "a at " + name}}
	}
	return n
}

// A certificate can be ordered if all names are delegated, from the CAs that may issue for each of
// them. The most important cause is the first.
func TestExamineDomain(t *testing.T) {
	t.Parallel()
	const ok, missing = controlplane.CauseOK, controlplane.CauseCNAMEMissing
	for what, tt := range map[string]struct {
		names   []controlplane.NameExamination
		causes  []string
		allowed []string
	}{
		"one name": {[]controlplane.NameExamination{examinedName("x", ok, "ab")}, nil,
			[]string{"a", "b"}},
		"all": {[]controlplane.NameExamination{examinedName("x", ok, "ab"),
			examinedName("y", ok, "ab")}, nil, []string{"a", "b"}},
		"one forbids a CA": {[]controlplane.NameExamination{examinedName("x", ok, "ab"),
			examinedName("y", ok, "b")}, nil, []string{"b"}},
		"no common CA": {[]controlplane.NameExamination{examinedName("x", ok, "a"),
			examinedName("y", ok, "b"), examinedName("z", ok, "b")}, []string{"b at x"}, nil},
		"no common CA for two": {[]controlplane.NameExamination{examinedName("x", ok, "b"),
			examinedName("y", ok, "a")}, []string{"a at x"}, nil},
		"CAA forbids all, and a delegation": {[]controlplane.NameExamination{
			examinedName("x", ok, ""), examinedName("y", missing, "ab"),
			examinedName("z", ok, "ab")}, []string{"cname-missing at y", "a at x"}, nil},
		"no result, and a delegation": {[]controlplane.NameExamination{
			examinedName("x", controlplane.CauseResolverUnreachable, "ab"),
			examinedName("y", missing, "ab")},
			[]string{"cname-missing at y", "resolver-unreachable at x"}, []string{"a", "b"}},
	} {
		e := controlplane.ExamineDomain(tt.names)
		var causes []string
		for _, c := range e.Causes {
			causes = append(causes, c.Summary)
		}
		if !slices.Equal(causes, tt.causes) || e.OK() != (len(tt.causes) == 0) {
			t.Errorf("%s: OK = %v, causes = %q, want %q", what, e.OK(), causes, tt.causes)
		}
		if got := e.Allowed(); !slices.Equal(got, tt.allowed) {
			t.Errorf("%s: Allowed() = %q, want %q", what, got, tt.allowed)
		}
		if len(e.Missing) != len(tt.causes) {
			t.Errorf("%s: missing = %+v, want the names of %q", what, e.Missing, tt.causes)
		}
	}
}

// The combined result is of the time of the oldest, and has no result if no name has one.
func TestExamineDomainWithoutAResult(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	x := examinedName("x", controlplane.CauseResolverUnreachable, "ab")
	y := examinedName("y", controlplane.CauseOK, "ab")
	x.Delegation.CheckedAt, y.Delegation.CheckedAt = at.Add(time.Second), at
	x.DNSSEC, y.DNSSEC = controlplane.DNSSECUnknown, controlplane.DNSSECSecure
	e := controlplane.ExamineDomain([]controlplane.NameExamination{y, x})
	if !e.Transient() || !e.Delegation.Transient() || !e.Delegation.CheckedAt.Equal(at) ||
		e.DNSSEC != controlplane.DNSSECUnknown {
		t.Errorf("ExamineDomain = %+v, want no result, of %s, with unknown DNSSEC", e, at)
	}
}
