package controlplane_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestLatestAttempt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		expires time.Time
		person  bool
		want    time.Duration
	}{
		"no certificate":                 {time.Time{}, false, 24 * time.Hour},
		"no certificate, a person waits": {time.Time{}, true, time.Hour},
		"expired":                        {now, false, 24 * time.Hour},
		"expired, a person waits":        {now.Add(-time.Hour), true, time.Hour},
		"90 days":                        {now.Add(90 * 24 * time.Hour), false, 540 * time.Hour},
		"a day":                          {now.Add(24 * time.Hour), true, 6 * time.Hour},
		"2 hours":                        {now.Add(2 * time.Hour), false, 30 * time.Minute},
		"20 minutes":                     {now.Add(20 * time.Minute), false, 5 * time.Minute},
		"a minute":                       {now.Add(time.Minute), false, 5 * time.Minute},
	} {
		if got := controlplane.LatestAttempt(now, tt.expires, tt.person).Sub(now); got != tt.want {
			t.Errorf("%s: LatestAttempt = %s from now, want %s", name, got, tt.want)
		}
	}
}
