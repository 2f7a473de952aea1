package controlplane_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		b        controlplane.Backoff
		failures int
		want     time.Duration
		jitter   float64
	}{
		{"default, first", controlplane.Backoff{}, 1, 10 * time.Second, 0.2},
		{"default, second", controlplane.Backoff{}, 2, 40 * time.Second, 0.2},
		{"default, third", controlplane.Backoff{}, 3, 160 * time.Second, 0.2},
		{"default, none yet", controlplane.Backoff{}, 0, 10 * time.Second, 0.2},
		{"base", controlplane.Backoff{Base: time.Millisecond}, 3, 16 * time.Millisecond, 0.2},
		{"factor", controlplane.Backoff{Factor: 2}, 4, 80 * time.Second, 0.2},
		{"jitter", controlplane.Backoff{Jitter: 0.5}, 1, 10 * time.Second, 0.5},
	} {
		low, high := time.Duration(float64(tt.want)*(1-tt.jitter))-1, time.Duration(float64(tt.want)*(1+tt.jitter))+1
		least, most := high, low
		for range 300 {
			got := tt.b.After(tt.failures)
			if got < low || got > high {
				t.Fatalf("%s: %s, want %s to %s", tt.name, got, low, high)
			}
			least, most = min(least, got), max(most, got)
		}
		if most-least < (high-low)/2 {
			t.Errorf("%s: the waits lie between %s and %s, not spread over %s to %s", tt.name, least, most, low, high)
		}
	}
}

func TestJobTypesAndStatuses(t *testing.T) {
	t.Parallel()
	for typ, slot := range map[controlplane.JobType]string{controlplane.JobDNSCheck: "check", controlplane.JobStartIssuance: "certificate", controlplane.JobRenewal: "certificate", "other": ""} {
		if typ.Slot() != slot || typ.Valid() != (slot != "") {
			t.Errorf("%s: slot %q, valid %v", typ, typ.Slot(), typ.Valid())
		}
	}
	for s, over := range map[controlplane.JobStatus]bool{controlplane.JobQueued: false, controlplane.JobRunning: false, controlplane.JobSucceeded: true, controlplane.JobFailed: true} {
		if s.Over() != over || !s.Valid() {
			t.Errorf("%s: over %v, valid %v", s, s.Over(), s.Valid())
		}
	}
	if controlplane.JobStatus("other").Valid() || controlplane.DomainStatus("other").Valid() || controlplane.Tier("other").Valid() {
		t.Error("an unknown status or tier is valid")
	}
	for _, s := range []controlplane.DomainStatus{controlplane.DomainPendingCNAME, controlplane.DomainIssuing, controlplane.DomainActive, controlplane.DomainError} {
		if !s.Valid() {
			t.Errorf("%s is not valid", s)
		}
	}
	for s, over := range map[controlplane.OrderStep]bool{controlplane.StepCreated: false, controlplane.StepIssued: false, controlplane.StepStored: true, controlplane.StepFailed: true} {
		if s.Over() != over {
			t.Errorf("step %s: over %v", s, s.Over())
		}
	}
}

func TestPlanLimits(t *testing.T) {
	t.Parallel()
	none, many := 0, 1000
	for _, tt := range []struct {
		o    controlplane.Organization
		want int
	}{
		{controlplane.Organization{Tier: controlplane.TierFree}, 3}, {controlplane.Organization{Tier: controlplane.TierPro}, 15},
		{controlplane.Organization{Tier: controlplane.TierAgency}, 50}, {controlplane.Organization{Tier: controlplane.TierPro, DomainLimit: &none}, 0},
		{controlplane.Organization{Tier: controlplane.TierFree, DomainLimit: &many}, 1000},
	} {
		if got := tt.o.MaxDomains(); got != tt.want || !tt.o.Tier.Valid() {
			t.Errorf("%s: %d, want %d", tt.o.Tier, got, tt.want)
		}
	}
}
