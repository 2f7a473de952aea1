package controlplane

import (
	"context"
	"slices"
	"sync"
)

// Gate bounds the number of concurrent operations in this process, in total and for each
// organization, so that one organization cannot use up the shared capacity. It is safe for
// concurrent use.
type Gate struct {
	total, each int
	spare       int // places that stay free when an organization has more than each

	mu      sync.Mutex
	all     int
	of      map[string]int             // places of each organization; without zero entries
	waiting map[string][]chan struct{} // callers of each organization, oldest first
	turns   []string                   // waiting organizations, the next one first
}

// NewGate returns a Gate with total places, of which one organization holds at most each. Both are
// at least 1.
func NewGate(total, each int) *Gate {
	total = max(total, 1)
	return &Gate{total: total, each: max(each, 1), spare: total, of: make(map[string]int),
		waiting: make(map[string][]chan struct{})}
}

// Lend lets an organization hold more than each places, while at least spare places stay free for
// others. It is for operations whose idle capacity costs more than sharing it. Call it before using
// the Gate.
func (g *Gate) Lend(spare int) *Gate {
	g.spare = spare
	return g
}

// Enter takes a place until leave is called; repeated calls of leave have no effect. It does not
// wait: ok is false if no place is free.
func (g *Gate) Enter(org string) (leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.free(org) {
		return nil, false
	}
	return g.take(org), true
}

// Wait takes a place until leave is called; repeated calls of leave have no effect. If no place is
// free, it waits. Organizations take turns, regardless of how many callers each has waiting. The
// error is that of ctx.
func (g *Gate) Wait(ctx context.Context, org string) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	g.mu.Lock()
	if g.free(org) && len(g.waiting[org]) == 0 {
		defer g.mu.Unlock()
		return g.take(org), nil
	}
	turn := make(chan struct{})
	if len(g.waiting[org]) == 0 {
		g.turns = append(g.turns, org)
	}
	g.waiting[org] = append(g.waiting[org], turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return g.leave(org), nil
	case <-ctx.Done():
		g.forget(org, turn)
		return nil, ctx.Err()
	}
}

func (g *Gate) free(org string) bool {
	return g.all < g.total && (g.of[org] < g.each || g.all < g.total-g.spare)
}

func (g *Gate) take(org string) (leave func()) {
	g.all++
	g.of[org]++
	return g.leave(org)
}

func (g *Gate) leave(org string) func() {
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.giveBack(org)
	})
}

func (g *Gate) giveBack(org string) {
	g.all--
	if g.of[org]--; g.of[org] == 0 {
		delete(g.of, org)
	}
	for i := 0; i < len(g.turns) && g.all < g.total; {
		if next := g.turns[i]; g.free(next) {
			g.admit(next, i)
			i = 0
			continue
		}
		i++
	}
}

// admit gives a place to the organization's oldest caller, and moves the organization to the end of
// the line.
func (g *Gate) admit(org string, i int) {
	turn := g.waiting[org][0]
	g.take(org)
	g.turns = append(slices.Delete(g.turns, i, i+1), org)
	g.remove(org, turn)
	close(turn)
}

// forget ends a caller's wait, and returns the place if the caller got one in the meantime.
func (g *Gate) forget(org string, turn chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-turn:
		g.giveBack(org)
	default:
		g.remove(org, turn)
	}
}

// remove removes a waiting caller, and the organization with its last one.
func (g *Gate) remove(org string, turn chan struct{}) {
	left := g.waiting[org]
	i := slices.Index(left, turn)
	if left = slices.Delete(left, i, i+1); len(left) > 0 {
		g.waiting[org] = left
		return
	}
	delete(g.waiting, org)
	g.turns = slices.DeleteFunc(g.turns, func(o string) bool { return o == org })
}

// Waiting returns the number of waiting callers.
func (g *Gate) Waiting() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, all := range g.waiting {
		n += len(all)
	}
	return n
}
