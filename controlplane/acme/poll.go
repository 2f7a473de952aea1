package acme

import (
	"cmp"
	"context"
	"time"
)

// Schedule configures the polling intervals. The CA's Retry-After is a lower bound.
type Schedule struct {
	First  time.Duration // first interval; default 10 ms
	Factor float64       // growth of the interval after each poll; default 1.5
	Max    time.Duration // longest interval; default 3 s
}

func (s Schedule) withDefaults() Schedule {
	s.First = cmp.Or(max(s.First, 0), 10*time.Millisecond)
	if s.Factor < 1 {
		s.Factor = 1.5
	}
	s.Max = cmp.Or(max(s.Max, 0), 3*time.Second)
	return s
}

// longPoll is the shortest wait before which the order's progress is recorded.
const longPoll = time.Second

// poll waits and calls look until it returns true or an error. It returns immediately if the CA
// requests a longer wait than the run has left.
func (r *run) poll(look func() (bool, error)) error {
	schedule := r.engine.cfg.Poll
	for wait := schedule.First; ; wait = min(time.Duration(float64(wait)*schedule.Factor),
		schedule.Max) {
		pause := max(wait, r.session.wire.retryAfter)
		if pause >= longPoll {
			if err := r.record(); err != nil {
				return err
			}
		}
		if r.remaining() < pause {
			return r.ca.slow(pause)
		}
		if err := r.engine.cfg.Sleep(r.ctx, pause); err != nil {
			return r.ca.interrupted(r.ctx)
		}
		if done, err := look(); done || err != nil {
			return err
		}
	}
}

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
