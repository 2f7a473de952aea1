package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pooled runs statements on the pool or, if the context carries a transaction (Once), in that
// transaction. All statements with such a context commit or roll back together, on one connection,
// and none waits for a second connection.
type pooled struct{ pool *pgxpool.Pool }

type joinKey struct{}

// join returns a context whose statements run in the transaction of conn. It is valid until the
// transaction ends, and for one goroutine.
func join(ctx context.Context, conn *pgxpool.Conn) context.Context {
	return context.WithValue(ctx, joinKey{}, conn)
}

func joined(ctx context.Context) *pgxpool.Conn {
	conn, _ := ctx.Value(joinKey{}).(*pgxpool.Conn)
	return conn
}

// Exec runs one statement. In a joined transaction its failure undoes this statement and nothing
// else, as without a transaction.
func (p pooled) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	conn := joined(ctx)
	if conn == nil {
		return p.pool.Exec(ctx, sql, args...)
	}
	var tag pgconn.CommandTag
	b := &pgx.Batch{}
	b.Queue(sql, args...).Exec(func(t pgconn.CommandTag) error { tag = t; return nil })
	return tag, p.sendPart(ctx, b)
}

// sendPart sends several statements at once, and reads their results. In a joined transaction, a
// failure undoes all of them and nothing else, as without a transaction.
func (p pooled) sendPart(ctx context.Context, b *pgx.Batch) error {
	conn := joined(ctx)
	if conn == nil {
		return p.pool.SendBatch(ctx, b).Close()
	}
	var start pgx.Batch
	start.Queue("SAVEPOINT part")
	b.QueuedQueries = append(start.QueuedQueries, b.QueuedQueries...)
	b.Queue("RELEASE SAVEPOINT part")
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return undoPart(ctx, conn, err)
	}
	return nil
}

// Query runs a query.
func (p pooled) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if conn := joined(ctx); conn != nil {
		return conn.Query(ctx, sql, args...)
	}
	return p.pool.Query(ctx, sql, args...)
}

// QueryRow runs a query of one row.
func (p pooled) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if conn := joined(ctx); conn != nil {
		return conn.QueryRow(ctx, sql, args...)
	}
	return p.pool.QueryRow(ctx, sql, args...)
}

// SendBatch sends several statements at once.
func (p pooled) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if conn := joined(ctx); conn != nil {
		return conn.SendBatch(ctx, b)
	}
	return p.pool.SendBatch(ctx, b)
}

// inPart runs fn as a part of a joined transaction. If fn fails, only this part is undone.
func inPart(ctx context.Context, conn *pgxpool.Conn, fn func(*Tx) error) error {
	if _, err := conn.Exec(ctx, "SAVEPOINT part"); err != nil {
		return err
	}
	if err := fn(&Tx{queries{conn}, true}); err != nil {
		return undoPart(ctx, conn, err)
	}
	_, err := conn.Exec(ctx, "RELEASE SAVEPOINT part")
	return err
}

func undoPart(ctx context.Context, conn *pgxpool.Conn, cause error) error {
	if _, err := conn.Exec(ctx, "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part"); err != nil {
		return errors.Join(cause, err) // the transaction is lost, and its commit will fail
	}
	return cause
}

// undo rolls back the transaction of conn, if one is open, and releases the connection.
func undo(ctx context.Context, conn *pgxpool.Conn) {
	if !conn.Conn().IsClosed() && conn.Conn().PgConn().TxStatus() != 'I' {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		_, _ = conn.Exec(ctx, "ROLLBACK") // a connection that cannot is closed by the pool
		cancel()
	}
	conn.Release()
}
