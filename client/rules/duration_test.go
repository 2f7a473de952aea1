package rules_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "0d": 0,
		"12h30m": 12*time.Hour + 30*time.Minute, "-1s": -time.Second} {
		if got, err := rules.ParseDuration(in); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
	for in, want := range map[string]string{"": "not a duration", "soon": "not a duration",
		"1.5d": "not a number of days", "-1d": "not a number of days",
		"100000d": "more than 65535 days"} {
		if got, err := rules.ParseDuration(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDuration(%q) = %v, %v, want an error with %q", in, got, err, want)
		}
	}
}
