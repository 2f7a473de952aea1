package controlplane_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestNextCheckFollowsTheSchedule(t *testing.T) {
	t.Parallel()
	plan := float64(5 * time.Second)
	for attempts := 1; attempts <= 200; attempts++ {
		low, high := time.Duration(plan*0.9)-1, time.Duration(plan*1.1)+1
		for range 20 {
			if got := controlplane.NextCheck(attempts); got < low || got > high {
				t.Fatalf("after %d checks: %s, want %s to %s", attempts, got, low, high)
			}
		}
		plan = min(plan*1.5, float64(4*time.Hour))
	}
	if plan != float64(4*time.Hour) {
		t.Error("the ceiling was not reached")
	}
	if got := controlplane.NextCheck(0); got < 4500*time.Millisecond || got > 5500*time.Millisecond {
		t.Errorf("before any check: %s", got)
	}
	if got := controlplane.NextCheck(1 << 30); got < 216*time.Minute || got > 264*time.Minute {
		t.Errorf("after very many checks: %s", got)
	}
	if controlplane.CheckFor != 30*24*time.Hour {
		t.Errorf("a round lasts %s", controlplane.CheckFor)
	}
}

func TestNextCheckIsSpread(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 100 {
		seen[controlplane.NextCheck(5)] = true
	}
	if len(seen) < 90 {
		t.Errorf("only %d waits in 100 differ", len(seen))
	}
}

func TestSetConditionKeepsTheOrderOfDisplay(t *testing.T) {
	t.Parallel()
	all := []controlplane.ConditionType{controlplane.DNSReady, controlplane.CertificateReady, controlplane.RenewalOnTrack}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		var d controlplane.Domain
		for _, i := range order {
			d.SetCondition(controlplane.Condition{Type: all[i], Status: "false", Reason: "first"})
			d.SetCondition(controlplane.Condition{Type: all[i], Status: "true", Reason: "second"})
		}
		var got []controlplane.ConditionType
		for _, c := range d.Conditions {
			if c.Reason != "second" {
				t.Errorf("%v: an old condition stayed: %+v", order, c)
			}
			got = append(got, c.Type)
		}
		if !slices.Equal(got, all) {
			t.Errorf("set in order %v, shown as %v", order, got)
		}
	}
	var d controlplane.Domain
	d.SetCondition(controlplane.Condition{Type: controlplane.RenewalOnTrack, Status: "true", Reason: "x"})
	if len(d.Conditions) != 1 {
		t.Errorf("conditions that were never set are shown: %+v", d.Conditions)
	}
	if c := d.Condition(controlplane.DNSReady); c.Status != "unknown" || c.Type != controlplane.DNSReady {
		t.Errorf("%+v", c)
	}
}

// A copy of a domain, as the audit log and the API hold one, does not change with it.
func TestSetConditionDoesNotTouchCopies(t *testing.T) {
	t.Parallel()
	var d controlplane.Domain
	d.SetCondition(controlplane.Condition{Type: controlplane.DNSReady, Status: "false", Reason: "cname-missing"})
	before := d
	d.SetCondition(controlplane.Condition{Type: controlplane.DNSReady, Status: "true", Reason: "delegated"})
	if before.Condition(controlplane.DNSReady).Reason != "cname-missing" {
		t.Error("the copy changed")
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
			t.Errorf("%+v: %v", tt.d, got)
		}
	}
}

func TestDiagnosisKinds(t *testing.T) {
	t.Parallel()
	for code, want := range map[string][2]bool{controlplane.CauseOK: {true, false}, controlplane.CauseCNAMEMissing: {}, controlplane.CauseResolverUnreachable: {false, true}} {
		d := controlplane.Diagnosis{Code: code}
		if got := [2]bool{d.OK(), d.Transient()}; got != want {
			t.Errorf("%s: OK, Transient = %v", code, got)
		}
	}
}
