package postgres

import "time"

// The names of a store's pools.
const (
	PoolStatements = "statements"
	PoolLazy       = "lazy" // its commits do not wait for the disk
)

// PoolStats describe the use of one of the store's two pools. The counts start with the process.
type PoolStats struct {
	Name    string
	InUse   int           // connections
	Idle    int           // connections
	Max     int           // connections
	Waits   int64         // acquisitions that had to wait, because no connection was idle
	WaitFor time.Duration // total time of these
}

// Stats describe the use of Postgres by a store. The counts start with the process.
type Stats struct {
	Pools             []PoolStats
	LockTimeouts      int64 // statements that ended because another transaction kept a lock
	StatementTimeouts int64 // statements that reached their time limit, with the wait for a connection
}

// Stats returns how the store uses Postgres.
func (s *Store) Stats() Stats {
	found := Stats{LockTimeouts: s.bounds.lockTimeouts.Load(),
		StatementTimeouts: s.bounds.timeouts.Load()}
	for _, name := range []string{PoolStatements, PoolLazy} {
		pool := s.pool
		if name == PoolLazy {
			pool = s.lazy
		}
		p := pool.Stat()
		found.Pools = append(found.Pools, PoolStats{Name: name, InUse: int(p.AcquiredConns()),
			Idle: int(p.IdleConns()), Max: int(p.MaxConns()), Waits: p.EmptyAcquireCount(),
			WaitFor: p.EmptyAcquireWaitTime()})
	}
	return found
}
