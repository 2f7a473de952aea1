package api

import (
	"slices"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// A condition lists the names that are not ready: those that it has, or the name of a domain with
// one name if that is the cause.
func TestConditionsListTheNamesThatAreNotReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.newDomain(w.org, "one.example.com")
	several := *one
	several.Targets = map[string]string{"www.example.com": "t"}
	missing := controlplane.Condition{Type: controlplane.DNSReady,
		Status: controlplane.ConditionFalse, Reason: controlplane.CauseCNAMEMissing, Message: "m",
		Fix: "f"}
	listed := missing
	listed.Names = []controlplane.NameStatus{{Name: "www.example.com",
		Reason: controlplane.CauseCNAMEMissing, Message: "m", Expected: "e"}}
	verified := controlplane.Condition{Type: controlplane.DNSReady,
		Status: controlplane.ConditionTrue, Reason: controlplane.ReasonDelegated, Message: "m"}
	quota := controlplane.Condition{Type: controlplane.CertificateReady,
		Status: controlplane.ConditionFalse, Reason: controlplane.ReasonCAQuota, Message: "m"}
	for what, tt := range map[string]struct {
		d    *controlplane.Domain
		c    controlplane.Condition
		want []string
	}{
		"one name":                   {one, missing, []string{"one.example.com"}},
		"one name, verified":         {one, verified, nil},
		"one name, not the cause":    {one, quota, nil},
		"several names":              {&several, listed, []string{"www.example.com"}},
		"several names, not checked": {&several, missing, nil},
	} {
		d := *tt.d
		d.Conditions = []controlplane.Condition{tt.c}
		var got []string
		if names := w.api.domainBody(&d).Conditions[0].Names; names != nil {
			for _, n := range *names {
				got = append(got, n.Name)
				if n.Reason != string(controlplane.CauseCNAMEMissing) || n.Message != "m" {
					t.Errorf("%s: names = %+v, want the condition's cause", what, n)
				}
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: names = %q, want %q", what, got, tt.want)
		}
	}
}
