package controlplane_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestCheckWebhookURL(t *testing.T) {
	t.Parallel()
	if err := controlplane.CheckWebhookURL("https://example.com/a?b=c", false); err != nil {
		t.Errorf("CheckWebhookURL(https) = %v, want nil", err)
	}
	err := controlplane.CheckWebhookURL("http://example.com/", true)
	if e := controlplane.AsError(err); e.Code != "webhook-url" ||
		e.Kind != controlplane.KindInvalid || len(e.Fields) != 1 || e.Fields[0].Pointer != "/url" {
		t.Errorf("CheckWebhookURL(http) = %+v, want a KindInvalid error for /url with the code webhook-url", e)
	}
}

func TestWebhookKey(t *testing.T) {
	t.Parallel()
	a, b := controlplane.NewWebhookSecret(), controlplane.NewWebhookSecret()
	if key, err := controlplane.WebhookKey(a); err != nil || len(key) != 32 {
		t.Errorf("WebhookKey(NewWebhookSecret()) = %d bytes, %v, want 32", len(key), err)
	}
	if a == b {
		t.Errorf("NewWebhookSecret() = %q twice", a)
	}
	if _, err := controlplane.WebhookKey("whsec_"); !controlplane.HasCode(err, "webhook-secret") ||
		controlplane.AsError(err).Fields[0].Pointer != "/secret" {
		t.Errorf("WebhookKey(whsec_) = %v, want the code webhook-secret for /secret", err)
	}
}

// The last attempt is 75 h 35 min after the first, as Standard Webhooks proposes.
func TestDeliveryWait(t *testing.T) {
	t.Parallel()
	var sum time.Duration
	for n := 1; n < controlplane.DeliveryAttempts; n++ {
		d := controlplane.DeliveryWait(n, 0, 0.5)
		if next := controlplane.DeliveryWait(n+1, 0, 0.5); n < controlplane.DeliveryAttempts-1 &&
			next <= d {
			t.Errorf("DeliveryWait(%d) = %s, DeliveryWait(%d) = %s, want a longer wait", n, d, n+1,
				next)
		}
		sum += d
	}
	if want := 75*time.Hour + 35*time.Minute + 5*time.Second; (sum - want).Abs() > time.Second {
		t.Errorf("sum of the waits = %s, want %s", sum, want)
	}
	for _, tt := range []struct {
		failures   int
		retryAfter time.Duration
		draw       float64
		want       time.Duration
	}{
		{1, 0, 0, 4500 * time.Millisecond},
		{1, 0, 1, 5500 * time.Millisecond},
		{1, time.Hour, 0, time.Hour},
		{1, 48 * time.Hour, 0, 24 * time.Hour},
		{9, time.Second, 0.5, 24 * time.Hour},
	} {
		got := controlplane.DeliveryWait(tt.failures, tt.retryAfter, tt.draw)
		if (got - tt.want).Abs() > time.Millisecond {
			t.Errorf("DeliveryWait(%d, %s, %v) = %s, want %s", tt.failures, tt.retryAfter, tt.draw,
				got, tt.want)
		}
	}
}
