package queue

import (
	"slices"
	"testing"
	"time"
)

// started returns a run of the organization, which hangs if hangs is true.
func started(t *testing.T, h *hanging, org string, hangs bool) *run {
	t.Helper()
	r, ok := h.start(org, false)
	if !ok {
		t.Fatal("a regular worker declined a job")
	}
	if hangs {
		r.hangs()
	}
	return r
}

// signaled reports whether a value is pending in the channel, and receives it.
func signaled(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestReserveStartsWhenTheShareIsHeld(t *testing.T) {
	t.Parallel()
	h := newHanging(time.Hour, 8)
	var runs []*run
	for i := range 6 {
		if h.isFull() || signaled(h.call) {
			t.Fatalf("the reserve was called with %d hanging jobs, want 6", i)
		}
		started(t, h, "a", false).end()
		runs = append(runs, started(t, h, "a", true))
	}
	if !h.isFull() || !signaled(h.call) {
		t.Error("with 6 hanging jobs: the reserve was not called")
	}
	if orgs, free := h.throttled(); !slices.Equal(orgs, []string{"a"}) || free != 2 {
		t.Errorf("throttled() = %v, %d free, want [a], 2 free", orgs, free)
	}
	if _, ok := h.start("a", true); ok {
		t.Error("the reserve accepted a job of an organization that has its part")
	}
	r, ok := h.start("b", true)
	if !ok {
		t.Fatal("the reserve declined a job of another organization")
	}
	if _, free := h.throttled(); free != 2 {
		t.Errorf("throttled(): %d free with a job in the reserve, want 2", free)
	}
	r.end()
	signaled(h.freed)
	runs[0].end()
	if orgs, free := h.throttled(); h.isFull() || len(orgs) != 0 || free != 3 {
		t.Errorf("after a job ended: throttled() = %v, %d free, want none, 3 free", orgs, free)
	}
	if !signaled(h.freed) {
		t.Error("after a job ended: the relay was not notified")
	}
	if _, ok := h.start("b", true); ok {
		t.Error("the reserve accepted a job when it is not needed")
	}
	for _, r := range runs[1:] {
		r.end()
		r.hangs() // a late call of the timer
	}
	if h.all != 0 || h.busy != 0 || len(h.running) != 0 || len(h.hang) != 0 {
		t.Errorf("counts after all jobs ended = %+v, want zeros", h)
	}
}

// The share is divided evenly among the organizations with hanging jobs.
func TestShareIsDividedEvenly(t *testing.T) {
	t.Parallel()
	h := newHanging(time.Hour, 8)
	for org, n := range map[string]int{"a": 3, "b": 2, "c": 1} {
		for range n {
			started(t, h, org, true)
		}
	}
	if orgs, _ := h.throttled(); !slices.Equal(orgs, []string{"a", "b"}) {
		t.Errorf("throttled() = %v, want [a b]", orgs)
	}
	for org, want := range map[string]bool{"a": false, "b": false, "c": true, "d": true} {
		if r, ok := h.start(org, true); ok != want {
			t.Errorf("start(%s) in the reserve = %v, want %v", org, ok, want)
		} else if ok {
			r.end()
		}
	}
}

// A single worker has no reserve and throttles no organization.
func TestSingleWorkerHasNoReserve(t *testing.T) {
	t.Parallel()
	h := newHanging(time.Hour, 1)
	started(t, h, "a", true)
	if orgs, _ := h.throttled(); h.isFull() || signaled(h.call) || len(orgs) != 0 {
		t.Errorf("throttled() = %v, counts %+v, want no reserve", orgs, h)
	}
}

func TestJobHangsAfterItsTime(t *testing.T) {
	t.Parallel()
	h := newHanging(time.Millisecond, 2)
	started(t, h, "a", false)
	select {
	case <-h.call:
	case <-time.After(30 * time.Second):
		t.Error("the reserve was not called within 30 s")
	}
}
