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
	// groupSize is the maximum number of statements in a group.
	groupSize = 64
	// groupsAtATime is how many groups of a kind are in progress at the same time: while one waits
	// for the disk, another is executed.
	groupsAtATime = 2
	// groupTime is the time limit of a group, which is not bound to the context of a caller.
	groupTime = 15 * time.Second
)

// group sends the statements of many callers together, with one round trip, one transaction, and
// one wait for the disk. A statement does not wait for others: those that arrive while a group is
// in progress form the next one.
//
// A statement in a group shares its transaction with others. So it first locks the rows that its
// key identifies, waits for no other lock that is held for long, and changes nothing if it gives no
// row. If a group fails, each of its statements is sent again alone, so it must be safe to send a
// statement twice.
type group struct {
	pool *pgxpool.Pool

	mu      sync.Mutex
	waiting []*grouped
	running int // groups in progress
}

// grouped is one caller's statement. Its result is read before sent is closed.
type grouped struct {
	key   string
	sql   string
	args  named
	read  func(pgx.Row) error
	err   error
	alone bool // its group failed
	sent  chan struct{}
}

// queryRow sends a statement in a group and reads its row, like QueryRow and Scan of a pool. The
// key orders the statements of a group, so that all groups lock rows in one order. If ctx is
// canceled, the statement may still be executed, and read may still be called.
func (g *group) queryRow(
	ctx context.Context, key string, read func(pgx.Row) error, sql string, args named,
) error {
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
	if g.running < groupsAtATime {
		g.running++
		go g.run()
	}
}

// run sends groups until no statement waits.
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
		g.running--
	}
	return batch
}

// send sends a batch, which the server executes as one transaction.
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
	return results.Close() // reports whether it was committed
}
