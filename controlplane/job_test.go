package controlplane_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		b         controlplane.Backoff
		failures  int
		low, high time.Duration
	}{
		{"default, first failure", controlplane.Backoff{}, 1, 8 * time.Second, 12 * time.Second},
		{"default, second failure", controlplane.Backoff{}, 2, 32 * time.Second, 48 * time.Second},
		{"default, third failure", controlplane.Backoff{}, 3, 128 * time.Second, 192 * time.Second},
		{"default, no failure", controlplane.Backoff{}, 0, 8 * time.Second, 12 * time.Second},
		{"base", controlplane.Backoff{Base: time.Millisecond}, 3, 12800 * time.Microsecond,
			19200 * time.Microsecond},
		{"factor", controlplane.Backoff{Factor: 2}, 4, 64 * time.Second, 96 * time.Second},
		{"jitter", controlplane.Backoff{Jitter: 0.5}, 1, 5 * time.Second, 15 * time.Second},
	} {
		for draw, want := range map[float64]time.Duration{0: tt.low, 0.5: (tt.low + tt.high) / 2,
			1: tt.high} {
			if got := tt.b.After(tt.failures, draw); (got - want).Abs() > time.Microsecond {
				t.Errorf("%s: After(%d, %v) = %s, want %s", tt.name, tt.failures, draw, got, want)
			}
		}
	}
}

func TestJobKinds(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, k := range controlplane.JobKinds() {
		listed = append(listed, string(k.Type))
		if k.Title == "" || k.Slot == "" || k.MaxAttempts == 0 {
			t.Errorf("JobKinds(): the entry of %s has an empty field: %+v", k.Type, k)
		}
		if got := k.Type.Kind(); got != k {
			t.Errorf("%s.Kind() = %+v, want %+v", k.Type, got, k)
		}
		if _, ok := controlplane.ActionOf(k.Failure); !ok && k.Failure != "" {
			t.Errorf("JobKinds(): %s has the failure %q, which is not an action", k.Type, k.Failure)
		}
	}
	if diff := cmp.Diff(constants(t, "job.go", "Job", "JobType"), listed); diff != "" {
		t.Errorf("JobKinds() differs from the constants (-constants +JobKinds()):\n%s", diff)
	}
	if got := controlplane.JobType("other"); got.Valid() || got.Slot() != "" {
		t.Errorf("JobType(other): Valid() = %v, Slot() = %q, want false and none", got.Valid(),
			got.Slot())
	}
}

// The newest constraint of the migrations allows the job types.
func TestMigrationsAllowTheJobTypes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("postgres/migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	constraint := regexp.MustCompile(`jobs_type_check CHECK \(type IN \(([^)]*)\)`)
	got := ""
	for _, file := range files {
		up, _, _ := strings.Cut(readFile(t, file), "-- +goose Down")
		for _, m := range constraint.FindAllStringSubmatch(up, -1) {
			got = m[1]
		}
	}
	for _, k := range controlplane.JobKinds() {
		if !strings.Contains(got, "'"+string(k.Type)+"'") {
			t.Errorf("jobs_type_check of the migrations allows %s, want %s too", got, k.Type)
		}
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for s, want := range map[controlplane.JobStatus]bool{
		controlplane.JobQueued: false, controlplane.JobRunning: false,
		controlplane.JobSucceeded: true, controlplane.JobFailed: true,
	} {
		if got := s.Over(); got != want {
			t.Errorf("JobStatus(%s).Over() = %v, want %v", s, got, want)
		}
		if !s.Valid() {
			t.Errorf("JobStatus(%s).Valid() = false, want true", s)
		}
	}
	for _, s := range []controlplane.DomainStatus{
		controlplane.DomainPendingCNAME, controlplane.DomainIssuing, controlplane.DomainActive,
		controlplane.DomainError,
	} {
		if !s.Valid() {
			t.Errorf("DomainStatus(%s).Valid() = false, want true", s)
		}
	}
	for name, s := range map[string]interface{ Valid() bool }{
		"JobStatus":    controlplane.JobStatus("other"),
		"DomainStatus": controlplane.DomainStatus("other"), "Tier": controlplane.Tier("other"),
	} {
		if s.Valid() {
			t.Errorf("%s(other).Valid() = true, want false", name)
		}
	}
	for s, want := range map[controlplane.OrderStep]bool{
		controlplane.StepCreated: false, controlplane.StepIssued: false,
		controlplane.StepStored: true, controlplane.StepFailed: true,
	} {
		if got := s.Over(); got != want {
			t.Errorf("OrderStep(%s).Over() = %v, want %v", s, got, want)
		}
	}
}

func TestMaxDomains(t *testing.T) {
	t.Parallel()
	none, many := 0, 1000
	for _, tt := range []struct {
		name string
		o    controlplane.Organization
		want int
	}{
		{"free", controlplane.Organization{Tier: controlplane.TierFree}, 3},
		{"pro", controlplane.Organization{Tier: controlplane.TierPro}, 15},
		{"agency", controlplane.Organization{Tier: controlplane.TierAgency}, 50},
		{"limit of 0", controlplane.Organization{Tier: controlplane.TierPro, DomainLimit: &none},
			0},
		{"limit of 1000", controlplane.Organization{Tier: controlplane.TierFree,
			DomainLimit: &many}, 1000},
	} {
		if got := tt.o.MaxDomains(); got != tt.want {
			t.Errorf("%s: MaxDomains() = %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestMaxDelegations(t *testing.T) {
	t.Parallel()
	none, many := 0, 1000
	for _, tt := range []struct {
		name string
		o    controlplane.Organization
		want int
	}{
		{"free", controlplane.Organization{Tier: controlplane.TierFree}, 25},
		{"pro", controlplane.Organization{Tier: controlplane.TierPro}, 500},
		{"agency", controlplane.Organization{Tier: controlplane.TierAgency}, 5000},
		{"limit of 0", controlplane.Organization{Tier: controlplane.TierPro, DomainLimit: &many,
			DelegationLimit: &none}, 0},
		{"more domains", controlplane.Organization{Tier: controlplane.TierFree,
			DomainLimit: &many}, 1000},
	} {
		if got := tt.o.MaxDelegations(); got != tt.want {
			t.Errorf("%s: MaxDelegations() = %d, want %d", tt.name, got, tt.want)
		}
	}
}

// Pauses while a dependency is unavailable double from 10 s to at most 15 min, with jitter.
func TestPause(t *testing.T) {
	t.Parallel()
	var b controlplane.Backoff
	for waits, middle := range map[int]time.Duration{1: 10 * time.Second, 2: 20 * time.Second,
		4: 80 * time.Second, 7: 640 * time.Second, 8: 750 * time.Second, 500: 750 * time.Second} {
		for _, draw := range []float64{0, 0.5, 0.999} {
			got := b.Pause(waits, draw)
			want := time.Duration(float64(middle) * (0.8 + 0.4*draw))
			if (got-want).Abs() > time.Second || got > 15*time.Minute {
				t.Errorf("Pause(%d, %v) = %s, want %s", waits, draw, got, want)
			}
		}
	}
	if got := (controlplane.Backoff{}).After(40, 0.999); got > 24*time.Hour {
		t.Errorf("After(40, 0.999) = %s, want at most a day", got)
	}
}
