package acme

import (
	"context"
	"time"
)

// Schedule says how often a CA that is at work is asked. Its Retry-After, where it gives one, is kept to as well.
type Schedule struct {
	First  time.Duration // before the first look; default 10 ms
	Factor float64       // each wait is this much longer than the one before; default 1.5
	Max    time.Duration // no wait is longer; default 3 s
}

func (s Schedule) withDefaults() Schedule {
	if s.First <= 0 {
		s.First = 10 * time.Millisecond
	}
	if s.Factor < 1 {
		s.Factor = 1.5
	}
	if s.Max <= 0 {
		s.Max = 3 * time.Second
	}
	return s
}

// longPoll is how long a wait may be before it is recorded what is waited for.
const longPoll = time.Second

// poll calls look until it reports true or fails, waiting before each call. It gives up at once where the CA asks for a
// longer wait than the run has left.
func (r *run) poll(look func() (bool, error)) error {
	schedule := r.engine.cfg.Poll
	for wait := schedule.First; ; wait = min(time.Duration(float64(wait)*schedule.Factor), schedule.Max) {
		pause := max(wait, r.session.wire.retryAfter)
		if pause >= longPoll {
			if err := r.record(); err != nil {
				return err
			}
		}
		if deadline, ok := r.ctx.Deadline(); ok && time.Until(deadline) < pause {
			return r.ca.slow(pause)
		}
		if err := sleep(r.ctx, pause); err != nil {
			return r.ca.interrupted(r.ctx)
		}
		if done, err := look(); done || err != nil {
			return err
		}
	}
}

// sleep waits for d, or returns ctx's error as soon as it is done.
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
