package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// DryRun runs fn with a context that carries a transaction, as Once does, and rolls the transaction
// back: statements that fn sends through the Store with that context change nothing, and send no
// notifications. The locks that they take are released before DryRun returns. It returns an error
// only if the transaction could not start.
func (s *Store) DryRun(ctx context.Context, fn func(context.Context)) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return translate(err, "", "")
	}
	defer undo(ctx, conn)
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	// an unreachable process must not hold locks
	b.Queue("SET LOCAL idle_in_transaction_session_timeout = '45s'")
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return translate(err, "", "")
	}
	fn(join(ctx, conn))
	return nil
}
