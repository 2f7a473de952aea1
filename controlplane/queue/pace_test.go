package queue

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// paced is a pace whose wake-ups are as late as the test says.
type paced struct {
	*pace
	late atomic.Int64
}

func newPaced(most int) *paced {
	p := &paced{pace: newPace(most)}
	p.delay = func() time.Duration {
		time.Sleep(paceEvery)
		return time.Duration(p.late.Load())
	}
	return p
}

// run starts a job that runs until end is closed.
func (p *paced) run(t *testing.T, running *atomic.Int64, end <-chan struct{}) {
	go func() {
		if err := p.start(t.Context()); err != nil {
			t.Errorf("start: %v", err)
			return
		}
		running.Add(1)
		<-end
		running.Add(-1)
		p.leave()
	}()
}

// While processors are short, fewer bulk jobs run, but always one, and none waits for long.
func TestPaceOfBulkJobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(8)
		var running atomic.Int64
		want := func(when string, n int64) {
			t.Helper()
			if synctest.Wait(); running.Load() != n {
				t.Errorf("%s: %d jobs run, want %d", when, running.Load(), n)
			}
		}
		first := make(chan struct{})
		for range 9 {
			p.run(t, &running, first)
		}
		want("with free processors", 8)
		p.late.Store(int64(50 * time.Millisecond))
		time.Sleep(2 * time.Second) // the limit falls to one
		second := make(chan struct{})
		p.run(t, &running, second)
		close(first)
		want("without free processors", 1)
		time.Sleep(time.Second)
		want("without free processors for a second", 1)

		p.late.Store(0)
		time.Sleep(5 * time.Second)
		third := make(chan struct{})
		for range 5 {
			p.run(t, &running, third)
		}
		want("with free processors again", 6)

		p.late.Store(int64(50 * time.Millisecond))
		time.Sleep(2 * time.Second)
		p.run(t, &running, third)
		want("before the longest wait", 6)
		time.Sleep(paceWait)
		want("after the longest wait", 7)
		close(second)
		close(third)
		want("at the end", 0)
		time.Sleep(2 * paceEvery) // the measurements end
	})
}

// A job that waits when the worker stops does not run.
func TestPaceOfAStoppedWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(1)
		if err := p.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.start(ctx) }()
		synctest.Wait()
		stop()
		if err := <-ended; err == nil {
			t.Error("start of a stopped worker = nil, want an error")
		}
		p.leave()
		if err := p.start(t.Context()); err != nil { // its place is free
			t.Error(err)
		}
		p.leave()
		time.Sleep(2 * paceEvery)
	})
}
