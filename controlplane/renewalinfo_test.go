package controlplane_test

import (
	"math"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestRenewTime(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	validFrom := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	window := func(start, end, checked time.Duration) *controlplane.RenewalInfo {
		return &controlplane.RenewalInfo{WindowStart: validFrom.Add(start),
			WindowEnd: validFrom.Add(end), CheckedAt: validFrom.Add(checked)}
	}
	far := &controlplane.RenewalInfo{WindowStart: validFrom,
		WindowEnd: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	tests := []struct {
		name string
		life time.Duration
		ari  *controlplane.RenewalInfo
		draw float64
		want time.Duration // after the start of validity
		now  bool
	}{
		{"90 days without information", 90 * day, nil, 0.5, 60*day - 18*time.Hour, false},
		{"90 days without information, drawn last", 90 * day, nil, 0, 60 * day, false},
		{"45 days without information", 45 * day, nil, 0.5, 30*day - 9*time.Hour, false},
		{"6 days without information", 6 * day, nil, 0.5, 3*day - 108*time.Minute, false},
		{"zero window", 90 * day, &controlplane.RenewalInfo{CheckedAt: validFrom.Add(day)}, 0.5,
			60*day - 18*time.Hour, false},
		{"window end before start", 90 * day, window(50*day, 40*day, day), 0.5,
			60*day - 18*time.Hour, false},
		{"window of no length", 90 * day, window(50*day, 50*day, day), 0.5, 60*day - 18*time.Hour,
			false},
		{"window that ended before the certificate's validity", 90 * day,
			window(-20*365*day, -19*365*day, day), 0.5, 60*day - 18*time.Hour, false},
		{"start of the window", 90 * day, window(50*day, 52*day, day), 0, 50 * day, false},
		{"middle of the window", 90 * day, window(50*day, 52*day, day), 0.5, 51 * day, false},
		{"lifetime comes first", 90 * day, window(80*day, 82*day, day), 0.5, 60*day - 18*time.Hour,
			false},
		{"lifetime within the window", 90 * day, window(59*day, 63*day, day), 0.75,
			60*day - 27*time.Hour, false},
		{"shortlived, window as Let's Encrypt gives it", 160 * time.Hour,
			window(79*time.Hour, 81*time.Hour, time.Hour), 0.25, 79*time.Hour + 30*time.Minute,
			false},
		{"window in the past", 90 * day, window(10*day, 11*day, 20*day), 0.5, 10*day + 12*time.Hour,
			true},
		{"current window", 90 * day, window(10*day, 30*day, 20*day), 0.1, 12 * day, false},
		{"renew now, hours after issuance", 90 * day,
			window(8*time.Hour, 9*time.Hour, 10*time.Hour), 0, 8 * time.Hour, true},
		{"renew now for every new certificate", 90 * day, window(0, time.Minute, 2*time.Minute), 0,
			6 * time.Hour, false},
		{"renew now for every new certificate of 12 hours", 12 * time.Hour,
			window(0, time.Minute, 2*time.Minute), 0, 30 * time.Minute, false},
		{"end in the year 9999", 90 * day, far, 0.9, 60*day - 1944*time.Minute, false},
		{"draw beyond its range", 90 * day, window(50*day, 52*day, day), 7, 52 * day, false},
		{"draw below its range", 90 * day, window(50*day, 52*day, day), -7, 50 * day, false},
		{"draw is NaN", 90 * day, window(50*day, 52*day, day), math.NaN(), 50 * day, false},
	}
	for _, tt := range tests {
		at, now := controlplane.RenewTime(validFrom, validFrom.Add(tt.life), tt.ari, tt.draw)
		if !at.Equal(validFrom.Add(tt.want)) || now != tt.now {
			t.Errorf("%s: RenewTime is %s after the start, now = %v, want %s, %v", tt.name,
				at.Sub(validFrom), now, tt.want, tt.now)
		}
	}
}
