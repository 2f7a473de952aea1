package queue

import (
	"slices"
	"sync"
	"time"
)

// hanging counts the running jobs of each organization in this process, and how many of them hang.
// While hanging jobs hold their whole share of the workers, the reserve adds workers. These decline
// the jobs of an organization that already uses its part of the share.
type hanging struct {
	after   time.Duration // runtime from which a job hangs
	workers int           // without the reserve
	share   int           // workers that hanging jobs may hold; 0 without a reserve
	call    chan struct{} // receives a value when the reserve is needed
	freed   chan struct{} // receives a value when a job ends while organizations are throttled

	mu      sync.Mutex
	busy    int            // busy workers, without the reserve
	running map[string]int // running jobs by organization
	hang    map[string]int // hanging jobs by organization
	all     int            // hanging jobs
}

func newHanging(after time.Duration, workers int) *hanging {
	h := &hanging{after: after, workers: workers, call: make(chan struct{}, 1),
		freed:   make(chan struct{}, 1),
		running: map[string]int{}, hang: map[string]int{}}
	if urgent := urgentShare(workers); urgent > 0 {
		h.share = workers - urgent
	}
	return h
}

// start counts a job of the organization until the returned run ends. ok is false if the reserve
// must decline the job.
func (h *hanging) start(org string, reserve bool) (r *run, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if reserve && (!h.full() || h.hasItsPart(h.running[org])) {
		return nil, false
	}
	r = &run{hanging: h, org: org, reserve: reserve}
	if !reserve {
		h.busy++
	}
	h.running[org]++
	r.timer = time.AfterFunc(h.after, r.hangs)
	return r, true
}

// isFull reports whether hanging jobs hold their whole share of the workers.
func (h *hanging) isFull() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.full()
}

func (h *hanging) full() bool { return h.share > 0 && h.all >= h.share }

// hasItsPart reports whether this number of jobs is an organization's part of the share, which is
// divided evenly among the organizations with hanging jobs.
func (h *hanging) hasItsPart(jobs int) bool { return jobs*max(len(h.hang), 1) >= h.share }

// throttled returns the organizations whose hanging jobs use their part of the share, if the whole
// share is held, and the number of free workers.
func (h *hanging) throttled() (orgs []string, free int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for org, jobs := range h.hang {
		if h.full() && h.hasItsPart(jobs) {
			orgs = append(orgs, org)
		}
	}
	slices.Sort(orgs)
	return orgs, max(h.workers-h.busy, 0)
}

// run is a running job.
type run struct {
	*hanging
	org     string
	reserve bool
	timer   *time.Timer
	late    bool // counted as hanging
	over    bool
}

// hangs counts the job as hanging.
func (r *run) hangs() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.late = true
	r.all++
	r.hang[r.org]++
	if r.full() {
		signal(r.call)
	}
}

// end stops counting the job. It must be called once.
func (r *run) end() {
	r.timer.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	if !r.reserve {
		r.busy--
	}
	if r.full() {
		signal(r.freed)
	}
	less(r.running, r.org)
	if r.late {
		r.all--
		less(r.hang, r.org)
	}
}

// less decrements the count of org, and deletes it at zero.
func less(n map[string]int, org string) {
	if n[org]--; n[org] == 0 {
		delete(n, org)
	}
}

// signal sends to c unless a value is pending.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
