package acme

import (
	"context"
	"time"
)

// doubtFor is how long a directory that answers is no sign of a CA's being back, after orders failed at one whose directory
// had answered.
const doubtFor = time.Hour

// Watch looks at the directory of each CA that was given up, once in every period until ctx ends, and takes it back when it
// answers: where there is nothing to order, no run would find out. CAs in use are not asked.
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
			e.cas[name].look(ctx)
		}
	}
}

// look takes a CA that was given up back where its directory answers.
func (a *authority) look(ctx context.Context) {
	if !a.breaker.worthALook(a.now()) {
		return
	}
	if _, err := a.fetchDirectory(ctx); err == nil && a.breaker.found() {
		a.cfg.Logger.InfoContext(ctx, "the CA's directory answers again", "ca", a.Name)
	}
}

// worthALook reports whether the CA was given up and its directory would tell that it is back.
func (b *breaker) worthALook(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.until.IsZero() && !now.Before(b.doubted)
}

// found takes the CA back on trial: the next run that finds it unreachable gives it up again. It returns false where it was in
// use already.
func (b *breaker) found() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return false
	}
	b.failures, b.until, b.trial = 0, time.Time{}, true
	return true
}
