package acme

import (
	"context"
	"time"
)

// doubtFor is how long a fetched directory does not close the breaker after orders failed although
// the directory had been fetched.
const doubtFor = time.Hour

// Watch fetches the directory of each CA with an open breaker once per period, until ctx is done,
// and closes the breaker on success. Without it, a CA with no orders would stay marked as
// unreachable. CAs with a closed breaker are not contacted.
func (e *Engine) Watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, name := range e.names {
			e.cas[name].probeDirectory(ctx)
		}
	}
}

// probeDirectory fetches the directory of a CA with an open breaker, and closes the breaker on
// success.
func (a *authority) probeDirectory(ctx context.Context) {
	if !a.breaker.shouldProbe(a.now()) {
		return
	}
	if _, err := a.fetchDirectory(ctx); err == nil && a.breaker.closeOnTrial() {
		a.cfg.Logger.InfoContext(ctx, "acme: CA directory reachable again", "ca", a.Name)
	}
}

// shouldProbe reports whether the breaker is open and a fetched directory may close it.
func (b *breaker) shouldProbe(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.until.IsZero() && !now.Before(b.doubted)
}

// closeOnTrial closes the breaker on trial: the next run that finds the CA unreachable opens it
// again. It returns false if the breaker was closed already.
func (b *breaker) closeOnTrial() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return false
	}
	b.failures, b.until, b.trial = 0, time.Time{}, true
	return true
}
