package postgres

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A connection can break without an error on either side. So each statement has a time limit here,
// and the server ends the sessions of processes that it cannot reach, with their locks.
const (
	// CallLimit is the limit of a statement that an HTTP request waits for, see WithLimit. It is
	// longer than lockTime, so that a statement that waits for a lock fails alone.
	CallLimit = 4 * time.Second
	// statementTime is the limit of other statements.
	statementTime = 15 * time.Second
	// LongLimit is the limit of a statement that may change or read very many rows.
	LongLimit = 2 * time.Minute

	connectTime = 4 * time.Second // of a connection, unless the DSN has connect_timeout
	pingTime    = 2 * time.Second // of the check of a connection that was idle
	deadTime    = 15 * time.Second
	// idleInTransaction is how long a transaction may wait for its next statement.
	idleInTransaction = time.Minute
)

// serverBounds are settings of a session with which the server detects that the process is gone.
var serverBounds = map[string]string{
	"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "2",
	"tcp_user_timeout":                    milliseconds(deadTime),
	"idle_in_transaction_session_timeout": milliseconds(idleInTransaction),
	"statement_timeout":                   milliseconds(LongLimit),
	"lock_timeout":                        milliseconds(lockTime),
}

type limitKey struct{}

// WithLimit returns a context in which each statement, with the wait for its connection, takes at
// most the given time, instead of 15 seconds. A statement that takes longer fails with
// KindUnavailable.
func WithLimit(ctx context.Context, limit time.Duration) context.Context {
	return context.WithValue(ctx, limitKey{}, limit)
}

func limitOf(ctx context.Context) time.Duration {
	if d, ok := ctx.Value(limitKey{}).(time.Duration); ok {
		return d
	}
	return statementTime
}

// bounds limits the time of all statements of a pool, and of its acquisitions. When one takes too
// long, it drops the other idle connections: they may be broken in the same way.
type bounds struct {
	reset     func()
	lastReset atomic.Int64 // Unix nanoseconds

	timeouts     atomic.Int64 // statements that took too long
	lockTimeouts atomic.Int64 // statements that waited too long for a lock
}

type (
	boundKey struct{}
	bound    struct {
		start  time.Time
		cancel context.CancelFunc
	}
)

func (b *bounds) begin(ctx context.Context, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(ctx, limit)
	return context.WithValue(ctx, boundKey{}, &bound{time.Now(), cancel})
}

// end releases the limit. It returns how much time was used.
func (b *bounds) end(ctx context.Context, err error) time.Duration {
	limited, ok := ctx.Value(boundKey{}).(*bound)
	if !ok {
		return 0
	}
	b.count(ctx, err)
	limited.cancel()
	return time.Since(limited.start)
}

// count counts the failures of operations. After some, the other connections are of no use either.
func (b *bounds) count(ctx context.Context, err error) {
	if err == nil {
		return
	}
	pe, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		b.timeouts.Add(1)
		b.drop()
	case ok && pe.Code == lockNotAvailable:
		b.lockTimeouts.Add(1)
	case ok && pe.Code == readOnly:
		b.drop() // the URL can lead to another server now
	}
}

// drop closes idle connections, at most once a second.
func (b *bounds) drop() {
	last, now := b.lastReset.Load(), time.Now().UnixNano()
	if b.reset != nil && now-last > int64(time.Second) && b.lastReset.CompareAndSwap(last, now) {
		go b.reset()
	}
}

// waitedKey is where a connection keeps how long its caller waited for it.
const waitedKey = "dcvaas-waited"

// TraceAcquireStart implements pgxpool.AcquireTracer.
func (b *bounds) TraceAcquireStart(
	ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData,
) context.Context {
	return b.begin(ctx, limitOf(ctx))
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (b *bounds) TraceAcquireEnd(
	ctx context.Context, _ *pgxpool.Pool, data pgxpool.TraceAcquireEndData,
) {
	waited := b.end(ctx, data.Err)
	if data.Conn != nil {
		data.Conn.PgConn().CustomData()[waitedKey] = waited
	}
}

// statement returns the context of a statement. Its limit includes the wait for the connection.
func (b *bounds) statement(ctx context.Context, conn *pgx.Conn) context.Context {
	limit := limitOf(ctx)
	if waited, ok := conn.PgConn().CustomData()[waitedKey].(time.Duration); ok {
		delete(conn.PgConn().CustomData(), waitedKey)
		limit = max(limit-waited, limit/8)
	}
	return b.begin(ctx, limit)
}

// TraceQueryStart implements pgx.QueryTracer.
func (b *bounds) TraceQueryStart(
	ctx context.Context, conn *pgx.Conn, _ pgx.TraceQueryStartData,
) context.Context {
	return b.statement(ctx, conn)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (b *bounds) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	b.end(ctx, data.Err)
}

// TraceBatchStart implements pgx.BatchTracer.
func (b *bounds) TraceBatchStart(
	ctx context.Context, conn *pgx.Conn, _ pgx.TraceBatchStartData,
) context.Context {
	return b.statement(ctx, conn)
}

// TraceBatchQuery implements pgx.BatchTracer.
func (b *bounds) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (b *bounds) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	b.end(ctx, data.Err)
}

// bind limits all operations on the connections of a configuration.
func bind(c *pgxpool.Config) *bounds {
	for name, value := range serverBounds {
		c.ConnConfig.RuntimeParams[name] = value
	}
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = connectTime
	}
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true,
		Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 2}, Control: limitUnacknowledged}
	c.ConnConfig.DialFunc = pgconn.DialFunc(dialer.DialContext)
	c.PingTimeout = pingTime
	b := &bounds{}
	c.ConnConfig.Tracer = b
	return b
}
