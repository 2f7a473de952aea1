package acme

import (
	"cmp"
	"context"
	"time"
)

// Schedule configures the polling intervals. The CA's Retry-After is a lower bound, up to maxPoll.
type Schedule struct {
	First  time.Duration // first interval; default 10 ms
	Factor float64       // growth of an interval under coarsePoll; default 1.5. Longer ones double.
}

func (s Schedule) withDefaults() Schedule {
	s.First = cmp.Or(max(s.First, 0), 10*time.Millisecond)
	if s.Factor < 1 {
		s.Factor = 1.5
	}
	return s
}

// next returns the interval after d.
func (s Schedule) next(d time.Duration) time.Duration {
	if d < coarsePoll {
		return time.Duration(float64(d) * s.Factor)
	}
	return min(2*d, maxPoll)
}

const (
	// coarsePoll is the interval from which intervals double.
	coarsePoll = 100 * time.Millisecond
	// longPoll is the shortest wait before which the order's progress is recorded.
	longPoll = time.Second
	// maxPause is the longest wait inside a run. For a longer one, the run returns to the caller.
	maxPause = 5 * time.Second
	// maxPoll is the longest time between two polls of an order, even if the CA requests more.
	maxPoll = time.Minute
)

// poll waits and calls look until it returns true or an error. It returns an Error of class Slow
// before a wait that is longer than maxPause.
func (r *run) poll(look func() (bool, error)) error {
	for {
		wait := max(r.interval, min(r.session.wire.retryAfter, maxPoll))
		if wait >= longPoll && wait <= maxPause {
			if err := r.record(); err != nil {
				return err
			}
		}
		if err := r.pause(wait); err != nil {
			return err
		}
		r.interval = r.engine.cfg.Poll.next(r.interval)
		if done, err := look(); done || err != nil {
			return err
		}
	}
}

// pause waits for d. If d is longer than maxPause or than the run has left, it returns an Error of
// class Slow at once.
func (r *run) pause(d time.Duration) error {
	if d > maxPause || d > r.remaining() {
		return r.ca.slow(d)
	}
	if err := r.engine.cfg.Sleep(r.ctx, d); err != nil {
		return r.ca.interrupted(r.ctx)
	}
	return nil
}

// firstInterval returns the first polling interval of a run. A run that changed nothing polls an
// order that has waited for as long as its age: the older it is, the less often.
func (r *run) firstInterval() time.Duration {
	first, o := r.engine.cfg.Poll.First, r.order
	if o.OrderURL == "" || o.CreatedAt.IsZero() {
		return first
	}
	return min(max(first, r.engine.cfg.Now().Sub(o.CreatedAt)/4), maxPoll)
}

// acted notes that the run has requested a change of the CA, which is polled from the first
// interval on.
func (r *run) acted() { r.interval = r.engine.cfg.Poll.First }

// remaining returns how much of the run's time is left, by the engine's clock or the real one,
// whichever is less.
func (r *run) remaining() time.Duration {
	left := r.deadline.Sub(r.engine.cfg.Now())
	if deadline, ok := r.ctx.Deadline(); ok {
		left = min(left, time.Until(deadline))
	}
	return left
}

// sleep waits for d, or returns ctx's error when ctx is done.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
