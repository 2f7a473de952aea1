package controlplane_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Every rule that goes by the lifetime, side by side.
func TestRulesByLifetime(t *testing.T) {
	t.Parallel()
	const day, hour = 24 * time.Hour, time.Hour
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		life time.Duration
		// before the end, by the lifetime, and with all of the spread
		renew, earliest     time.Duration
		alarm               time.Duration // before the end
		warnings            []time.Duration
		rehearsal           time.Duration
		rehearsalsToRenewal int
	}{
		{"398 days", 398 * day, 398 * day / 3, 398 * day / 3 * 21 / 20, 7 * day,
			[]time.Duration{21 * day, 7 * day, day}, day, 258},
		{"90 days", 90 * day, 30 * day, 31*day + 12*hour, 7 * day,
			[]time.Duration{21 * day, 7 * day, day}, day, 58},
		{"45 days", 45 * day, 15 * day, 15*day + 18*hour, 7 * day,
			[]time.Duration{252 * hour, 7 * day, day}, day, 29},
		{"31 days", 31 * day, 248 * hour, 248 * hour * 21 / 20, 7 * day,
			[]time.Duration{31 * day * 7 / 30, 7 * day, day}, day, 20},
		{"30 days", 30 * day, 10 * day, 10*day + 12*hour, 7 * day, []time.Duration{7 * day, day},
			day, 19},
		{"21 days", 21 * day, 7 * day, 7*day + 504*time.Minute, 7 * day,
			[]time.Duration{7 * day, day}, day, 13},
		{"20 days", 20 * day, 160 * hour, 168 * hour, 5 * day, []time.Duration{5 * day, 2 * day},
			day, 13},
		{"10 days", 10 * day, 80 * hour, 84 * hour, 60 * hour, []time.Duration{60 * hour, day},
			20 * hour, 7},
		{"6 days", 6 * day, 3 * day, 75*hour + 36*time.Minute, 36 * hour,
			[]time.Duration{36 * hour, 864 * time.Minute}, 12 * hour, 5},
		{"160 hours, shortlived", 160 * hour, 80 * hour, 84 * hour, 40 * hour,
			[]time.Duration{40 * hour, 16 * hour}, 800 * time.Minute, 5},
		{"a day", day, 12 * hour, 12*hour + 36*time.Minute, 6 * hour,
			[]time.Duration{6 * hour, 144 * time.Minute}, 2 * hour, 5},
	} {
		end := start.Add(tt.life)
		left := func(at time.Time) time.Duration { return end.Sub(at) }
		renewAt := controlplane.RenewAt(start, end)
		if got := left(renewAt); got != tt.renew {
			t.Errorf("%s: RenewAt is %s before expiry, want %s", tt.name, got, tt.renew)
		}
		earliest, _ := controlplane.RenewTime(start, end, nil, 1)
		if got := left(earliest); got != tt.earliest {
			t.Errorf("%s: RenewTime with the full spread is %s before expiry, want %s", tt.name,
				got, tt.earliest)
		}
		alarm := controlplane.ExpiryAlarmAt(start, end)
		if got := left(alarm); got != tt.alarm {
			t.Errorf("%s: ExpiryAlarmAt is %s before expiry, want %s", tt.name, got, tt.alarm)
		}
		var warnings []time.Duration
		for _, at := range controlplane.ExpiryWarnings(start, end) {
			warnings = append(warnings, left(at))
			if at.Before(renewAt) {
				t.Errorf("%s: a warning is %s before expiry, want it after RenewAt", tt.name,
					left(at))
			}
		}
		if !slices.Equal(warnings, tt.warnings) || !slices.Contains(warnings, tt.alarm) {
			t.Errorf("%s: ExpiryWarnings are %s before expiry, want %s, including the alarm",
				tt.name, warnings, tt.warnings)
		}
		every := controlplane.RehearsalEvery(start, end)
		if n := int(earliest.Sub(start) / every); every != tt.rehearsal ||
			n != tt.rehearsalsToRenewal {
			t.Errorf("%s: RehearsalEvery = %s, %d times before the renewal, want %s, %d times",
				tt.name, every, n, tt.rehearsal, tt.rehearsalsToRenewal)
		}
		if left(renewAt) < 4*every {
			t.Errorf("%s: an interval of %s leaves too little of %s before expiry", tt.name, every,
				left(renewAt))
		}
	}
}

func TestExpiryWarningIsTheLastThatWasReached(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	end := start.Add(90 * day)
	for _, tt := range []struct{ left, due, next time.Duration }{
		{90 * day, 0, 21 * day}, {21*day + 1, 0, 21 * day}, {21 * day, 21 * day, 7 * day},
		{8 * day, 21 * day, 7 * day},
		{7 * day, 7 * day, day}, {day, day, 0}, {1, day, 0}, {0, day, 0},
	} {
		due, next := controlplane.ExpiryWarning(start, end, end.Add(-tt.left))
		if got := end.Sub(due); tt.due == 0 != due.IsZero() || tt.due != 0 && got != tt.due ||
			end.Sub(next) != tt.next {
			t.Errorf("ExpiryWarning with %s left = %s due, then %s; want %s, then %s", tt.left, due,
				next, tt.due, tt.next)
		}
	}
	// The times are stored in microseconds, so the shares of an odd lifetime are rounded.
	odd := start.Add(6*day + 7*time.Second)
	for _, at := range controlplane.ExpiryWarnings(start, odd) {
		if due, next := controlplane.ExpiryWarning(start, odd,
			at.Truncate(time.Microsecond)); !due.Equal(at) || !next.After(at) {
			t.Errorf("ExpiryWarning at %s = %s, %s, want %s and a later one", at, due, next, at)
		}
	}
}

// A thousand certificates that end at one second are renewed apart, and none later than is safe.
func TestEqualEndsAreSpread(t *testing.T) {
	t.Parallel()
	const day, n = 24 * time.Hour, 1000
	end := time.Date(2026, 5, 30, 23, 59, 59, 0, time.UTC)
	for _, life := range []time.Duration{6 * day, 45 * day, 90 * day} {
		start := end.Add(-life)
		safe := controlplane.RenewAt(start, end)
		spread := end.Sub(safe) / 20
		slots, moved := map[int64]int{}, time.Duration(0)
		for i := range n {
			draw := (float64(i) + 0.5) / n
			at, urgent := controlplane.RenewTime(start, end, nil, draw)
			if at.After(safe) || at.Before(safe.Add(-spread)) || urgent {
				t.Fatalf("%s: RenewTime is %s before expiry, now = %v, want at least %s", life,
					end.Sub(at), urgent, end.Sub(safe))
			}
			if again, _ := controlplane.RenewTime(start, end, nil, draw); !again.Equal(at) {
				t.Errorf("%s: RenewTime with the same draw = %s, then %s, want the same", life, at,
					again)
			}
			slots[int64(safe.Sub(at)/(spread/100))]++
			moved += safe.Sub(at)
		}
		for slot, got := range slots {
			if got > n/100*2 {
				t.Errorf("%s: %d of %d renewals are in hundredth %d of the spread, want an even distribution", life, got, n, slot)
			}
		}
		if share := float64(moved/n) / float64(safe.Sub(start)); len(slots) != 100 || share > 0.03 {
			t.Errorf("%s: renewals use %d hundredths of the spread and cost %.1f%% more orders, want all and at most 2.5%%", life, len(slots), 100*share)
		}
	}
}
