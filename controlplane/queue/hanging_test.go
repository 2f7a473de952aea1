package queue

import (
	"slices"
	"testing"
	"time"
)

// begun returns a run of the organization's, which hangs if so told.
func begun(t *testing.T, h *hanging, org string, hangs bool) *run {
	t.Helper()
	r, ok := h.begin(org, false)
	if !ok {
		t.Fatal("a worker that is none of the reserve was refused a job")
	}
	if hangs {
		r.hangs()
	}
	return r
}

// wanted reports whether there is word in the channel, and takes it.
func wanted(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestTheReserveIsCalledWhenTheShareIsHeld(t *testing.T) {
	t.Parallel()
	h := newHanging(time.Hour, 8)
	var runs []*run
	for i := range 6 {
		if h.isFull() || wanted(h.call) {
			t.Fatalf("with %d jobs that hang", i)
		}
		begun(t, h, "a", false).end()
		runs = append(runs, begun(t, h, "a", true))
	}
	if !h.isFull() || !wanted(h.call) {
		t.Error("the share is held, and nobody was called")
	}
	if orgs, free := h.throttled(); !slices.Equal(orgs, []string{"a"}) || free != 2 {
		t.Errorf("%v, %d free", orgs, free)
	}
	if _, ok := h.begin("a", true); ok {
		t.Error("the reserve takes more of those that hang")
	}
	r, ok := h.begin("b", true)
	if !ok {
		t.Fatal("the reserve takes nobody's")
	}
	if _, free := h.throttled(); free != 2 {
		t.Errorf("%d free: the reserve counts among the others", free)
	}
	r.end()
	wanted(h.freed)
	runs[0].end()
	if orgs, free := h.throttled(); h.isFull() || len(orgs) != 0 || free != 3 || !wanted(h.freed) {
		t.Errorf("%v, %d free", orgs, free)
	}
	if _, ok := h.begin("b", true); ok {
		t.Error("the reserve takes jobs when it is not needed")
	}
	for _, r := range runs[1:] {
		r.end()
		r.hangs() // the timer's call may come late
	}
	if h.all != 0 || h.busy != 0 || len(h.running) != 0 || len(h.hang) != 0 {
		t.Errorf("%+v", h)
	}
}

// The share is divided among those whose jobs hang; who has little of it is served.
func TestTheShareIsDividedEvenly(t *testing.T) {
	t.Parallel()
	h := newHanging(time.Hour, 8)
	for org, n := range map[string]int{"a": 3, "b": 2, "c": 1} {
		for range n {
			begun(t, h, org, true)
		}
	}
	if orgs, _ := h.throttled(); !slices.Equal(orgs, []string{"a", "b"}) {
		t.Errorf("%v", orgs)
	}
	for org, want := range map[string]bool{"a": false, "b": false, "c": true, "d": true} {
		if r, ok := h.begin(org, true); ok != want {
			t.Errorf("%s is taken: %v", org, ok)
		} else if ok {
			r.end()
		}
	}
}

// A single worker has no reserve, and holds nobody back.
func TestASingleWorkerHoldsNobodyBack(t *testing.T) {
	t.Parallel()
	h := newHanging(time.Hour, 1)
	begun(t, h, "a", true)
	if orgs, _ := h.throttled(); h.isFull() || wanted(h.call) || len(orgs) != 0 {
		t.Errorf("%+v", h)
	}
}

func TestAJobHangsWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	h := newHanging(time.Millisecond, 2)
	begun(t, h, "a", false)
	select {
	case <-h.call:
	case <-time.After(30 * time.Second):
		t.Error("nobody was called")
	}
}
