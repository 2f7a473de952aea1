package acme

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Breaker configures the circuit breaker of each CA.
type Breaker struct {
	// consecutive Unreachable runs that open it; default 5, disabled if negative
	Failures int
	Open     time.Duration // first open period, doubled after each failed probe; default 30 s
	MaxOpen  time.Duration // longest open period; default 5 minutes
}

func (b Breaker) withDefaults() Breaker {
	b.Failures = cmp.Or(b.Failures, 5)
	b.Open = cmp.Or(max(b.Open, 0), 30*time.Second)
	b.MaxOpen = cmp.Or(max(b.MaxOpen, 0), max(5*time.Minute, b.Open))
	return b
}

// breaker is the circuit breaker of one CA. It counts runs, not requests, because a run retries
// after transient faults. Any response, including a rejection, shows that the CA is reachable.
//
// It is local to one process. Reachability depends on the process's network: a replica with a
// broken outbound connection must not stop the others, and no replica should need Redis to detect
// that a CA is unreachable. Each replica finds out at the cost of a few runs. gobreaker does not
// fit because the clock is injected here, and because an interrupted run is neither a success nor a
// failure.
type breaker struct {
	cfg Breaker

	mu       sync.Mutex
	failures int           // consecutive
	until    time.Time     // end of the open period; zero while the breaker is closed
	since    time.Time     // when it opened; kept after it closed
	cause    error         // of the last failure
	open     time.Duration // length of the current or last open period
	probing  bool          // one run is checking whether the CA is reachable again
	trial    bool          // the directory was fetched again, but no run has succeeded since
	doubted  time.Time     // until then a fetched directory does not close the breaker (doubtFor)
}

// enter requests permission to start a run. If ok is true, the caller must pass probe and the run's
// result to leave.
func (b *breaker) enter(now time.Time) (ok, probe bool, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return true, false, time.Time{}
	case now.Before(b.until):
		return false, false, b.until
	case b.probing:
		return false, false, now.Add(b.cfg.Open)
	}
	b.probing = true
	return true, true, time.Time{}
}

// leave records the result of a run. It reports whether the run opened or closed the breaker.
func (b *breaker) leave(now time.Time, probe bool, err error) (opened, closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
	switch outcome(err) {
	case answered:
		closed = !b.until.IsZero() && probe
		if probe || b.until.IsZero() {
			b.failures, b.until, b.open, b.trial, b.doubted = 0, time.Time{}, 0, false, time.Time{}
		}
	case failed:
		b.failures++
		b.cause = err
		switch {
		case probe || b.trial:
			opened = b.until.IsZero()
			if b.trial {
				b.trial, b.doubted = false, now.Add(doubtFor)
			}
			b.open = min(2*b.open, b.cfg.MaxOpen)
			b.until = now.Add(b.open)
		case b.until.IsZero() && b.cfg.Failures > 0 && b.failures >= b.cfg.Failures:
			b.open = b.cfg.Open
			b.until, opened = now.Add(b.open), true
		}
		if opened {
			b.since = now
		}
	}
	return opened, closed
}

// healthy reports whether a run would be permitted. It does not start a probe.
func (b *breaker) healthy(now time.Time) (bool, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return true, time.Time{}
	case now.Before(b.until):
		return false, b.until
	case b.probing:
		return false, now.Add(b.cfg.Open)
	}
	return true, time.Time{}
}

type result int

const (
	inconclusive result = iota // the run does not show whether the CA is reachable
	answered                   // the CA responded
	failed                     // the CA is unreachable
)

// outcome returns what the result of a run shows about the CA.
func outcome(err error) result {
	if err == nil {
		return answered
	}
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok: // an error of the journal
		return inconclusive
	case e.Class == Unreachable:
		return failed
	case e.Class == Interrupted || e.Class == Slow || e.Class == Internal:
		return inconclusive
	}
	return answered
}

// guarded calls do unless the breaker is open, and records the result. It returns do's error, or an
// *Error of class Unreachable.
func (a *authority) guarded(ctx context.Context, do func() error) error {
	ok, probe, until := a.breaker.enter(a.now())
	if !ok {
		return a.down(until)
	}
	err := errPanicked
	defer func() {
		opened, closed := a.breaker.leave(a.now(), probe, err)
		switch {
		case opened:
			a.cfg.Logger.WarnContext(ctx, "acme: CA unreachable, circuit breaker opened",
				"ca", a.Name, "error", err)
		case closed:
			a.cfg.Logger.InfoContext(ctx, "acme: CA reachable again, circuit breaker closed",
				"ca", a.Name)
		}
	}()
	err = do()
	return err
}

// errPanicked is the result of a run that panicked.
var errPanicked = errors.New("the run panicked")

// down is the Error for a CA with an open breaker.
func (a *authority) down(until time.Time) *Error {
	e := unreachable(a.Name, errors.New("the circuit breaker is open"))
	e.RetryAt, e.RetryAfter = until, max(until.Sub(a.now()), 0)
	return e
}

// Healthy reports whether the CA with the given name accepts runs. If its breaker is open, until is
// the time of the next probe. An unconfigured CA is not healthy.
func (e *Engine) Healthy(ca string) (ok bool, until time.Time) {
	a, err := e.authority(ca)
	if err != nil {
		return false, time.Time{}
	}
	return a.breaker.healthy(a.now())
}

// Answering reports whether the breaker of the CA with the given name is closed. It stays false
// between the open periods, until a run or a fetch of the directory succeeds.
func (e *Engine) Answering(ca string) bool {
	a, err := e.authority(ca)
	if err != nil {
		return false
	}
	a.breaker.mu.Lock()
	defer a.breaker.mu.Unlock()
	return a.breaker.until.IsZero()
}

// OpenBreakers returns the CAs whose breaker is open, in order of preference. A breaker is open
// between the open periods, too, until a run or a fetch of the directory succeeds.
func (e *Engine) OpenBreakers() []controlplane.CABreaker {
	var open []controlplane.CABreaker
	for _, name := range e.names {
		b := &e.cas[name].breaker
		b.mu.Lock()
		if !b.until.IsZero() {
			open = append(open, controlplane.CABreaker{CA: name, Since: b.since,
				ProbeAt: b.until, Message: reason(b.cause)})
		}
		b.mu.Unlock()
	}
	return open
}

// reason returns the text of the error that an Error wraps, without its code and the CA's name.
func reason(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		if e.Err == nil {
			return e.Message
		}
		err = e.Err
	}
	return err.Error()
}
