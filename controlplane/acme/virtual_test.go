package acme_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// virtual is a clock that moves only while an engine sleeps. Real time passes for a moment per
// sleep, so that the CA can work.
type virtual struct {
	mu    sync.Mutex
	start time.Time
	at    time.Time
	waits []time.Duration // all sleeps
}

func newVirtual() *virtual {
	now := time.Now()
	return &virtual{start: now, at: now}
}

func (c *virtual) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *virtual) sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.at = c.at.Add(d)
	c.waits = append(c.waits, d)
	c.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(min(d, 10*time.Millisecond)):
		return nil
	}
}

func (c *virtual) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (c *virtual) passed() time.Duration { return c.now().Sub(c.start) }

// use sets the clock of an engine.
func (c *virtual) use(cfg *acme.Config) { cfg.Now, cfg.Sleep = c.now, c.sleep }

// TestRunTimeoutByTheClock ends a run after RunTimeout by the engine's clock, which Sleep advances.
func TestRunTimeoutByTheClock(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	c := newVirtual()
	e := w.engine(t, c.use)
	f.rewrite(pathFinalize, processing(""))
	f.rewrite(pathOrder, processing(""))
	o := w.order(t, e, "clock.example.com")
	_, err := e.Run(t.Context(), o, w.journal(o))
	if e := wantError(t, err, acme.Slow, "ca-slow"); e.Over || !e.RetryAt.After(c.now()) {
		t.Errorf("Over = %v, RetryAt = %s; want false and a time after %s", e.Over, e.RetryAt,
			c.now())
	}
	if got := c.passed(); got > time.Minute {
		t.Errorf("the run waited for %s, want at most RunTimeout of 1m", got)
	}
}
