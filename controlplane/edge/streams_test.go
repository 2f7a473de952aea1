package edge

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// open opens n streams and returns the functions that close them.
func open(t *testing.T, s *Streams, h Holder, n int) []func() {
	t.Helper()
	var all []func()
	for i := range n {
		done, err := s.Open(h, time.Now())
		if err != nil {
			t.Fatalf("Open(%+v) number %d = %v, want no error", h, i+1, err)
		}
		all = append(all, done)
	}
	return all
}

// full fails the test unless one more stream is rejected with a retry time.
func full(t *testing.T, s *Streams, h Holder) {
	t.Helper()
	now := time.Now()
	_, err := s.Open(h, now)
	if !controlplane.HasCode(err, "too-many-streams") ||
		!controlplane.IsKind(err, controlplane.KindRateLimited) {
		t.Errorf("Open(%+v) = %v, want too-many-streams", h, err)
	} else if at := controlplane.AsError(err).RetryAt; !at.After(now) {
		t.Errorf("Open(%+v) RetryAt = %v, want after %v", h, at, now)
	}
}

func TestStreamsOfEachTier(t *testing.T) {
	t.Parallel()
	for tier, want := range map[controlplane.Tier]controlplane.StreamLimit{
		controlplane.TierFree:   {Organization: 20, Credential: 10},
		controlplane.TierPro:    {Organization: 100, Credential: 50},
		controlplane.TierAgency: {Organization: 500, Credential: 250},
	} {
		s := NewStreams()
		one, two := Holder{"org_1", tier, "tok_1"}, Holder{"org_1", tier, "ses_2"}
		first := open(t, s, one, want.Credential)
		full(t, s, one)
		open(t, s, two, want.Organization-want.Credential)
		full(t, s, Holder{"org_1", tier, "tok_3"})
		open(t, s, Holder{"org_2", tier, "tok_4"}, 1) // others do not notice
		first[0]()
		first[0]() // closes it once
		open(t, s, one, 1)
		full(t, s, one)
		full(t, s, two)
	}
}

// Concurrent calls never exceed the limit, and closed streams leave no state.
func TestStreamsAtOnce(t *testing.T) {
	t.Parallel()
	s := NewStreams()
	h := Holder{"org_1", controlplane.TierFree, "tok_1"}
	var now, most atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range 200 {
				done, err := s.Open(h, time.Now())
				if err != nil {
					continue
				}
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				now.Add(-1)
				done()
			}
		})
	}
	all.Wait()
	if most.Load() > 10 || most.Load() == 0 {
		t.Errorf("%d streams were open at once, want 1 to 10", most.Load())
	}
	if len(s.open) != 0 {
		t.Errorf("open = %v after all were closed, want nothing", s.open)
	}
}

func TestNoStreamsCounter(t *testing.T) {
	t.Parallel()
	var s *Streams
	for _, done := range open(t, s, Holder{"org_1", controlplane.TierFree, "tok_1"}, 1000) {
		done()
	}
}
