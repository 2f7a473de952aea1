package controlplane

import (
	"context"
	"slices"
	"sync"
)

// Gate bounds how much of one thing is in progress in this process, and how much of that is one
// organization's, so that none uses up what all share. It is safe for concurrent use.
type Gate struct {
	total, each int
	spare       int // what is left for others when an organization has more than each

	mu      sync.Mutex
	all     int
	of      map[string]int             // places of each organization; none is kept at 0
	waiting map[string][]chan struct{} // of each organization, oldest first
	turns   []string                   // organizations that wait, the next one first
}

// NewGate returns a Gate with a total of places, of which one organization holds at most each.
// Both are at least 1.
func NewGate(total, each int) *Gate {
	total = max(total, 1)
	return &Gate{total: total, each: max(each, 1), spare: total, of: make(map[string]int), waiting: make(map[string][]chan struct{})}
}

// Lend lets an organization hold more places than each, while at least spare others stay free for
// the rest. It is for what costs more when it is idle than when it is shared, and is called before
// the Gate is used.
func (g *Gate) Lend(spare int) *Gate {
	g.spare = spare
	return g
}

// Enter takes a place until leave is called, which may be repeated. It does not wait: ok is
// false where there is no place.
func (g *Gate) Enter(org string) (leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.free(org) {
		return nil, false
	}
	return g.take(org), true
}

// Wait takes a place until leave is called, which may be repeated. While there is none it
// waits, and organizations take turns, however many callers each has waiting. The error is
// that of ctx.
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

// admit gives a place to the organization's oldest caller, and puts the organization at the
// end of the line.
func (g *Gate) admit(org string, i int) {
	turn := g.waiting[org][0]
	g.take(org)
	g.turns = append(slices.Delete(g.turns, i, i+1), org)
	g.remove(org, turn)
	close(turn)
}

// forget ends a caller's wait, and gives back the place where it was given one meanwhile.
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

// remove takes a caller out of those that wait, and with the last one the organization.
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

// Waiting returns how many callers wait.
func (g *Gate) Waiting() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, all := range g.waiting {
		n += len(all)
	}
	return n
}
