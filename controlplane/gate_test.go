package controlplane_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func enter(t *testing.T, g *controlplane.Gate, org string) (leave func()) {
	t.Helper()
	leave, ok := g.Enter(org)
	if !ok {
		t.Fatalf("Enter(%s) = false, want a place", org)
	}
	return leave
}

func refuse(t *testing.T, g *controlplane.Gate, org string) {
	t.Helper()
	if _, ok := g.Enter(org); ok {
		t.Fatalf("Enter(%s) = true, want no place", org)
	}
}

func TestGateLeavesPlacesToOthers(t *testing.T) {
	t.Parallel()
	g := controlplane.NewGate(3, 2)
	a := enter(t, g, "a")
	enter(t, g, "a")
	refuse(t, g, "a") // has its share
	enter(t, g, "b")
	refuse(t, g, "c") // all are taken
	a()
	a() // repeated calls have no effect
	enter(t, g, "c")
	refuse(t, g, "b")
}

// An organization can use the idle places of others, except for the spare ones.
func TestGateLends(t *testing.T) {
	t.Parallel()
	g := controlplane.NewGate(5, 1).Lend(2)
	a := enter(t, g, "a")
	enter(t, g, "a")
	enter(t, g, "a")
	refuse(t, g, "a") // two are left for others
	enter(t, g, "b")
	refuse(t, g, "b") // beyond its share, and less than two are free
	c := enter(t, g, "c")
	refuse(t, g, "d") // all are taken
	c()
	refuse(t, g, "a")
	a()
	enter(t, g, "d")
	refuse(t, g, "a") // it has two, its share is one
}

// lineUp starts a call of Wait and returns when it waits. The call sends org when it has a place.
func lineUp(t *testing.T, g *controlplane.Gate, org string, waiting int, got chan<- string) {
	t.Helper()
	go func() {
		leave, err := g.Wait(t.Context(), org)
		if err != nil {
			got <- err.Error()
			return
		}
		got <- org
		leave()
	}()
	for g.Waiting() < waiting {
		runtime.Gosched()
	}
}

func TestGateOrganizationsTakeTurns(t *testing.T) {
	t.Parallel()
	g := controlplane.NewGate(1, 1)
	leave := enter(t, g, "a")
	got := make(chan string, 10)
	for i, org := range []string{"a", "a", "a", "b", "c", "b"} {
		lineUp(t, g, org, i+1, got)
	}
	leave()
	var order []string
	for range 6 {
		order = append(order, <-got)
	}
	if want := []string{"a", "b", "c", "a", "b", "a"}; !slices.Equal(order, want) {
		t.Errorf("order of Wait = %v, want %v", order, want)
	}
}

// An organization that has its share does not hold up those behind it.
func TestGatePassesWhoHasItsShare(t *testing.T) {
	t.Parallel()
	g := controlplane.NewGate(2, 1)
	mine := enter(t, g, "a")
	theirs := enter(t, g, "b")
	got := make(chan string, 10)
	lineUp(t, g, "a", 1, got)
	lineUp(t, g, "c", 2, got)
	theirs()
	if org := <-got; org != "c" {
		t.Errorf("Wait admitted %s, want c: a has its share", org)
	}
	mine()
	if org := <-got; org != "a" {
		t.Errorf("Wait admitted %s, want a", org)
	}
}

func TestGateForgetsWhoIsGone(t *testing.T) {
	t.Parallel()
	g := controlplane.NewGate(1, 1)
	leave := enter(t, g, "a")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { _, err := g.Wait(ctx, "b"); done <- err }()
	for g.Waiting() == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v, want context.Canceled", err)
	}
	leave()
	enter(t, g, "c")
	if _, err := g.Wait(ctx, "d"); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait with a context that has ended = %v, want context.Canceled", err)
	}
}

// Under load, with callers that give up at any moment, the limits hold and no place is lost.
func TestGateHoldsItsLimits(t *testing.T) {
	t.Parallel()
	g := controlplane.NewGate(4, 2)
	var all atomic.Int32
	var of [5]atomic.Int32
	var callers sync.WaitGroup
	for n := range 200 {
		callers.Go(func() {
			org := n % len(of)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if n%3 == 0 {
				go cancel()
			}
			leave, err := g.Wait(ctx, string(rune('a'+org)))
			if err != nil {
				return
			}
			defer leave()
			if a, o := all.Add(1), of[org].Add(1); a > 4 || o > 2 {
				t.Errorf("places in use = %d, by one organization = %d, want at most 4 and 2", a, o)
			}
			all.Add(-1)
			of[org].Add(-1)
		})
	}
	callers.Wait()
	for _, org := range []string{"x", "x", "y", "y"} {
		enter(t, g, org)
	}
}
