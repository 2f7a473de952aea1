package queue

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	paceEvery   = 5 * time.Millisecond // between measurements
	paceLate    = 2 * time.Millisecond // average delay from which the process lacks processors
	paceAverage = 20                   // measurements in the average
	paceDown    = 0.97                 // factor of the limit for each late measurement
	paceUp      = 0.05                 // added to the limit for each other one

	// paceWait is the longest time that a job waits, so that renewals advance on a machine that is
	// always short of processors.
	paceWait = 10 * time.Second
)

// pace limits the jobs from bulk that run at the same time while processors are short, so that
// renewals that are due at once leave them to urgent work. It measures how late a goroutine wakes
// up: other threads and other processes of the machine delay it, too. A job that waits for a CA
// delays nothing, so many of them may run. One may always run.
type pace struct {
	most  int                  // jobs
	delay func() time.Duration // measures the delay of one wake-up

	mu      sync.Mutex
	running int
	waiting []chan struct{} // oldest first
	limit   float64
	late    float64 // average delay in seconds
}

func newPace(most int) *pace {
	return &pace{most: most, limit: float64(most), delay: func() time.Duration {
		begin := time.Now()
		time.Sleep(paceEvery)
		return time.Since(begin) - paceEvery
	}}
}

// start waits until another job may run, and counts it until leave is called. The error is that of
// ctx.
func (p *pace) start(ctx context.Context) error {
	p.mu.Lock()
	if len(p.waiting) == 0 && p.fits() {
		p.enter()
		p.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	p.waiting = append(p.waiting, turn)
	p.mu.Unlock()
	enough := time.NewTimer(paceWait)
	defer enough.Stop()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	case <-enough.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.Index(p.waiting, turn)
	if at < 0 {
		return nil // its turn came at the same time
	}
	p.waiting = slices.Delete(p.waiting, at, at+1)
	if err := ctx.Err(); err != nil {
		return err
	}
	p.enter()
	return nil
}

// leave ends a job.
func (p *pace) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	p.admit()
}

func (p *pace) fits() bool { return p.running == 0 || float64(p.running+1) <= p.limit }

// enter counts a job. The first starts the measurements.
func (p *pace) enter() {
	if p.running++; p.running == 1 {
		go p.measure()
	}
}

// admit lets the jobs run that wait and fit.
func (p *pace) admit() {
	for len(p.waiting) > 0 && p.fits() {
		close(p.waiting[0])
		p.waiting = p.waiting[1:]
		p.enter()
	}
}

// measure adapts the limit until no job runs.
func (p *pace) measure() {
	for p.adapt(p.delay()) {
	}
}

// adapt adapts the limit to a delay. It reports whether a job runs.
func (p *pace) adapt(late time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late += (late.Seconds() - p.late) / paceAverage
	if p.late > paceLate.Seconds() {
		p.limit = max(p.limit*paceDown, 1)
	} else {
		p.limit = min(p.limit+paceUp, float64(p.most))
	}
	p.admit()
	return p.running > 0
}
