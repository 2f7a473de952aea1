package edge_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

func TestSetRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		status int
		at     time.Time
		want   string
	}{
		{"rounded up", http.StatusTooManyRequests, now.Add(1500 * time.Millisecond), "2"},
		{"in the past", http.StatusTooManyRequests, now.Add(-time.Minute), "1"},
		{"conflict with a time", http.StatusConflict, now.Add(time.Minute), "60"},
		{"unavailable without a time", http.StatusServiceUnavailable, time.Time{}, "5"},
		{"too many requests without a time", http.StatusTooManyRequests, time.Time{}, "5"},
		{"conflict without a time", http.StatusConflict, time.Time{}, ""},
	} {
		h := http.Header{}
		edge.SetRetryAfter(h, tt.status, tt.at, now)
		if got := h.Get("Retry-After"); got != tt.want {
			t.Errorf("%s: Retry-After = %q, want %q", tt.name, got, tt.want)
		}
	}
}
