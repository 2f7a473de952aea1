package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// groupSize is how many statements go together at most.
	groupSize = 64
	// groupsAtATime is how many groups of a kind are under way at once: while one waits for the
	// disk another is made up.
	groupsAtATime = 2
	// groupTime bounds one group, which belongs to no caller's context.
	groupTime = 15 * time.Second
)

// group sends the statements of many callers together: one round trip, one transaction, one
// wait for the disk. Nobody waits for company: what comes while a group is under way makes up
// the next one.
//
// Such a statement must bear that others are in its transaction: it locks first what its key
// names, waits for no other lock that is held for long, and changes nothing where it finds no
// row. Where a group fails, each statement is sent again alone, so it must also bear to be
// sent twice.
type group struct {
	pool *pgxpool.Pool

	mu       sync.Mutex
	waiting  []*grouped
	underWay int
}

// grouped is one caller's statement. What it was answered with is read before sent is closed.
type grouped struct {
	key   string
	sql   string
	args  named
	read  func(pgx.Row) error
	err   error
	alone bool // its group failed
	sent  chan struct{}
}

// locking is a statement that locks rows first and gives no row where it could not. It has two
// entry points: in a group it skips rows that others have locked, and alone it waits for them.
type locking struct{ grouped, alone string }

// newLocking returns a statement from its text for a group.
func newLocking(grouped string) locking {
	return locking{grouped: grouped, alone: strings.ReplaceAll(grouped, " SKIP LOCKED", "")}
}

// queryRow is a pool's QueryRow and Scan. The key orders the statements of a group, so that
// groups lock in one order. When ctx ends first the statement may still be carried out, and
// read may still be called.
func (g *group) queryRow(ctx context.Context, key string, read func(pgx.Row) error, sql string, args named) error {
	s := &grouped{key: key, sql: sql, args: args, read: read, sent: make(chan struct{})}
	g.add(s)
	select {
	case <-s.sent:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.alone {
		return read(g.pool.QueryRow(ctx, sql, args))
	}
	return s.err
}

func (g *group) add(s *grouped) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, s)
	if g.underWay < groupsAtATime {
		g.underWay++
		go g.run()
	}
}

// run sends groups until nobody waits.
func (g *group) run() {
	for {
		batch := g.next()
		if len(batch) == 0 {
			return
		}
		failed := g.send(batch) != nil
		for _, s := range batch {
			s.alone = failed
			close(s.sent)
		}
	}
}

func (g *group) next() []*grouped {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), groupSize)
	batch := slices.Clone(g.waiting[:n])
	if g.waiting = slices.Delete(g.waiting, 0, n); n == 0 {
		g.underWay--
	}
	return batch
}

// send sends a batch, which the server takes as one transaction.
func (g *group) send(batch []*grouped) error {
	ctx, cancel := context.WithTimeout(context.Background(), groupTime)
	defer cancel()
	slices.SortFunc(batch, func(a, b *grouped) int { return strings.Compare(a.key, b.key) })
	b := &pgx.Batch{}
	for _, s := range batch {
		b.Queue(s.sql, s.args)
	}
	results := g.pool.SendBatch(ctx, b)
	for _, s := range batch {
		if s.err = s.read(results.QueryRow()); s.err != nil && !errors.Is(s.err, pgx.ErrNoRows) {
			_ = results.Close()
			return s.err
		}
	}
	return results.Close() // only now is it committed
}
