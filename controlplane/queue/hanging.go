package queue

import (
	"slices"
	"sync"
	"time"
)

// hanging knows the jobs under way in this process, and whose of them hang. While those that
// hang hold the share of the workers that is theirs, a reserve works beside the others and
// takes no job of an organization that has its part of them.
type hanging struct {
	after   time.Duration // a job hangs when it has run for so long
	workers int           // without the reserve
	share   int           // of the workers; zero where there is no reserve
	call    chan struct{} // has one when the reserve is needed
	freed   chan struct{} // has one when an organization that is held back has one job fewer

	mu      sync.Mutex
	busy    int            // workers, without the reserve
	running map[string]int // jobs of each organization
	hang    map[string]int // those of them that hang
	all     int            // of all organizations
}

func newHanging(after time.Duration, workers int) *hanging {
	h := &hanging{after: after, workers: workers, call: make(chan struct{}, 1), freed: make(chan struct{}, 1),
		running: map[string]int{}, hang: map[string]int{}}
	if urgent := urgentShare(workers); urgent > 0 {
		h.share = workers - urgent
	}
	return h
}

// begin counts a job until the run that it returns is ended. ok is false where the reserve must
// not take the job.
func (h *hanging) begin(org string, reserve bool) (r *run, ok bool) {
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

// isFull reports whether the jobs that hang hold their share of the workers.
func (h *hanging) isFull() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.full()
}

func (h *hanging) full() bool { return h.share > 0 && h.all >= h.share }

// hasItsPart reports whether so many jobs of an organization are its part of the share, which
// those whose jobs hang have evenly.
func (h *hanging) hasItsPart(jobs int) bool { return jobs*max(len(h.hang), 1) >= h.share }

// throttled returns the organizations whose jobs that hang are their part of the share, while
// it is held, and how many workers are free.
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

// run is a job under way.
type run struct {
	*hanging
	org     string
	reserve bool
	timer   *time.Timer
	late    bool // it is counted among those that hang
	over    bool
}

// hangs counts the job among those that hang.
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

// end is called once.
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

// less counts one down, and keeps no zero.
func less(n map[string]int, org string) {
	if n[org]--; n[org] == 0 {
		delete(n, org)
	}
}

// signal leaves word for one who looks later.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
