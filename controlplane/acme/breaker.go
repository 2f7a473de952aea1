package acme

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Breaker says when a CA that does not answer is left alone for a while.
type Breaker struct {
	Failures int           // runs in a row that found it Unreachable; default 5, none where negative
	Open     time.Duration // how long it is left alone at first, and twice as long after each probe that fails; default 30 s
	MaxOpen  time.Duration // no longer than that; default 5 minutes
}

func (b Breaker) withDefaults() Breaker {
	if b.Failures == 0 {
		b.Failures = 5
	}
	if b.Open <= 0 {
		b.Open = 30 * time.Second
	}
	if b.MaxOpen <= 0 {
		b.MaxOpen = max(5*time.Minute, b.Open)
	}
	return b
}

// breaker is the circuit breaker of one CA. It counts runs, not requests: a run resumes by itself after a fault that passes.
// Answers of any kind, a refusal with them, show that the CA is there.
//
// It belongs to one process. What is out of reach is so from where the process stands: a replica whose way out is broken must
// not stop the others, and none of them should need Redis in order to find out that a CA is away. Each learns it at the cost
// of a few runs. It is not gobreaker because the time is injected here, and because a stopped run is neither success nor
// failure.
type breaker struct {
	cfg Breaker

	mu       sync.Mutex
	failures int           // in a row
	until    time.Time     // the CA is left alone until then; zero while it is in use
	open     time.Duration // length of the present or last pause
	probing  bool          // one run is finding out whether the CA is back
	trial    bool          // its directory answered; that orders go through no run has shown yet
	doubted  time.Time     // until then its directory's answer says nothing: it answered before, and orders failed
}

// enter asks for leave to begin a run. Where it is given, leave must be called with how the run ended; probe tells leave
// what was agreed.
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

// leave says how a run ended. It returns whether the CA has been given up, or taken back, by it.
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
	case unanswered:
		b.failures++
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
	}
	return opened, closed
}

// healthy reports whether a run would be let in; it takes nobody's place.
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
	unsaid     result = iota // nothing was learned of the CA
	answered                 // the CA is there
	unanswered               // it is not
)

// outcome says what the end of a run tells of the CA.
func outcome(err error) result {
	if err == nil {
		return answered
	}
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok: // the journal's
		return unsaid
	case e.Class == Unreachable:
		return unanswered
	case e.Class == Interrupted || e.Class == Internal:
		return unsaid
	}
	return answered
}

// guarded calls do unless the CA is given up for now, and counts how it ends. Its error is do's, or an *Error of class
// Unreachable.
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
			a.cfg.Logger.WarnContext(ctx, "the CA does not answer; it is left alone for a while", "ca", a.Name, "error", err)
		case closed:
			a.cfg.Logger.InfoContext(ctx, "the CA answers again", "ca", a.Name)
		}
	}()
	err = do()
	return err
}

// errPanicked stands for the end of a run that did not return.
var errPanicked = errors.New("the run panicked")

// down is the Error for a CA that is left alone.
func (a *authority) down(until time.Time) *Error {
	e := unreachable(a.Name, errors.New("the circuit breaker is open"))
	e.RetryAt, e.RetryAfter = until, max(until.Sub(a.now()), 0)
	return e
}

// Healthy reports whether the CA of that name is in use. Where it is not, because it did not answer several times in a row,
// until is when it is tried again. A CA that is not configured is not healthy.
func (e *Engine) Healthy(ca string) (ok bool, until time.Time) {
	a, err := e.authority(ca)
	if err != nil {
		return false, time.Time{}
	}
	return a.breaker.healthy(a.now())
}

// Answering reports whether the CA of that name is not given up: false from when it is left alone until a run or a look at its
// directory finds it back, between the pauses too.
func (e *Engine) Answering(ca string) bool {
	a, err := e.authority(ca)
	if err != nil {
		return false
	}
	a.breaker.mu.Lock()
	defer a.breaker.mu.Unlock()
	return a.breaker.until.IsZero()
}
