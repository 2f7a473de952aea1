package controlplane_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestNextCheck(t *testing.T) {
	t.Parallel()
	plan := float64(controlplane.CheckFirst)
	for attempts := 1; attempts <= 200; attempts++ {
		for draw, factor := range map[float64]float64{0: 0.9, 0.5: 1, 1: 1.1} {
			want := time.Duration(plan * factor)
			if got := controlplane.NextCheck(attempts,
				draw); (got - want).Abs() > time.Microsecond {
				t.Fatalf("NextCheck(%d, %v) = %s, want %s", attempts, draw, got, want)
			}
		}
		plan = min(plan*controlplane.CheckFactor, float64(controlplane.CheckCeiling))
	}
	for attempts, want := range map[int]time.Duration{0: 5 * time.Second, 1 << 30: 4 * time.Hour} {
		if got := controlplane.NextCheck(attempts, 0.5); got != want {
			t.Errorf("NextCheck(%d, 0.5) = %s, want %s", attempts, got, want)
		}
	}
}

func TestSetConditionKeepsTheOrderOfDisplay(t *testing.T) {
	t.Parallel()
	all := []controlplane.ConditionType{controlplane.DNSReady, controlplane.CertificateReady,
		controlplane.RenewalOnTrack}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1},
		{2, 1, 0}} {
		var d controlplane.Domain
		for _, i := range order {
			d.SetCondition(controlplane.Condition{Type: all[i], Status: "false", Reason: "first"})
			d.SetCondition(controlplane.Condition{Type: all[i], Status: "true", Reason: "second"})
		}
		var got []controlplane.ConditionType
		for _, c := range d.Conditions {
			if c.Reason != "second" {
				t.Errorf("conditions set in order %v: %s has the reason %s, want second", order,
					c.Type, c.Reason)
			}
			got = append(got, c.Type)
		}
		if !slices.Equal(got, all) {
			t.Errorf("conditions set in order %v: order of display = %v, want %v", order, got, all)
		}
	}
	var d controlplane.Domain
	d.SetCondition(controlplane.Condition{Type: controlplane.RenewalOnTrack,
		Status: "true", Reason: "x"})
	if len(d.Conditions) != 1 {
		t.Errorf("Conditions after one SetCondition = %+v, want one", d.Conditions)
	}
	if c := d.Condition(controlplane.DNSReady); c.Status != "unknown" ||
		c.Type != controlplane.DNSReady {
		t.Errorf("Condition(DNSReady) = %+v, want unknown", c)
	}
}

// A copy of a domain, as the audit log and the API hold one, does not change with it.
func TestSetConditionDoesNotTouchCopies(t *testing.T) {
	t.Parallel()
	var d controlplane.Domain
	d.SetCondition(controlplane.Condition{Type: controlplane.DNSReady,
		Status: "false", Reason: "cname-missing"})
	before := d
	d.SetCondition(controlplane.Condition{Type: controlplane.DNSReady,
		Status: "true", Reason: "delegated"})
	if before.Condition(controlplane.DNSReady).Reason != "cname-missing" {
		t.Error("SetCondition changed the conditions of a copy")
	}
}

func TestHasCertificate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	later := now.Add(time.Second)
	for _, tt := range []struct {
		d    controlplane.Domain
		want bool
	}{
		{controlplane.Domain{}, false},
		{controlplane.Domain{CertificateID: "crt_x"}, false},
		{controlplane.Domain{ExpiresAt: &later}, false},
		{controlplane.Domain{CertificateID: "crt_x", ExpiresAt: &now}, false},
		{controlplane.Domain{CertificateID: "crt_x", ExpiresAt: &later}, true},
	} {
		if got := tt.d.HasCertificate(now); got != tt.want {
			t.Errorf("%+v: HasCertificate() = %v, want %v", tt.d, got, tt.want)
		}
	}
}

func TestDiagnosisKinds(t *testing.T) {
	t.Parallel()
	for code, want := range map[string][2]bool{controlplane.CauseOK: {true, false},
		controlplane.CauseCNAMEMissing: {}, controlplane.CauseResolverUnreachable: {false, true},
		controlplane.CauseTargetNotServed: {false, true}, controlplane.CauseTXTLookupFailed: {}} {
		d := controlplane.Diagnosis{Code: code}
		if got := [2]bool{d.OK(), d.Transient()}; got != want {
			t.Errorf("Diagnosis with code %s: OK(), Transient() = %v, want %v", code, got, want)
		}
	}
}
