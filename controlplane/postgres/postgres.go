// Package postgres contains all SQL of the control plane. The database is the source of truth: the
// contents of the queue and of the name servers' memory can be rebuilt from it. Every query of
// tenant data takes the organization first, constraints enforce uniqueness, and errors of the
// driver are translated in this package only. Other packages read through the Store directly, and
// change tenant data through lifecycle, in transactions that InTx opens.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// db is the part that a pool and a transaction have in common.
type db interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// queries are the statements that can run on the pool or in a transaction.
type queries struct{ db db }

// Config is the configuration of a Store.
type Config struct {
	DSN      string // postgres://…
	MaxConns int32  // for statements that callers wait for; default 12. See ConnsWithin.
	Logger   *slog.Logger
	// Label describes the process to others, see Labels: at most 30 letters, digits, and hyphens.
	// It is visible to everyone who can connect to the server.
	Label string
}

// Store is a pool of connections with every query on it. It is safe for concurrent use.
type Store struct {
	queries
	pool   *pgxpool.Pool
	lazy   *pgxpool.Pool // its commits do not wait for the disk
	watch  *watcher
	logger *slog.Logger

	claiming   group // on lazy
	concluding group
	publishing group // of values of acme-dns accounts
	chains     chainsKept

	bounds    *bounds
	total     int           // connections
	leaseTime time.Duration // set by tests
}

// MaxConns returns how many connections the store opens for statements that callers wait for.
func (s *Store) MaxConns() int { return int(s.pool.Config().MaxConns) }

// Tx is a transaction, with every query on it.
type Tx struct {
	queries
	part bool // of a transaction in the context (Once), which InTx cannot repeat
}

// Open returns a store that connects when it is used: an unreachable server is reported by the
// first query, and the store reconnects after a restart of the server.
func Open(ctx context.Context, c Config) (*Store, error) {
	pc, err := pgxpool.ParseConfig(c.DSN)
	if err != nil {
		// the driver's error may contain the password
		return nil, errors.New("postgres: malformed DSN")
	}
	pc.MaxConns = 12
	if c.MaxConns > 0 {
		pc.MaxConns = c.MaxConns
	}
	pc.MaxConnIdleTime = 5 * time.Minute
	lazyConns := max(pc.MaxConns/2, 2)
	total := int(pc.MaxConns+lazyConns) + listening
	pc.ConnConfig.RuntimeParams["application_name"] = applicationName(total, c.Label)
	pc.ConnConfig.RuntimeParams["timezone"] = "UTC"
	// Every statement is short. Compiling one, or starting processes for it, takes longer than it.
	pc.ConnConfig.RuntimeParams["jit"] = "off"
	pc.ConnConfig.RuntimeParams["max_parallel_workers_per_gather"] = "0"
	pc.AfterConnect = decodeDirectly
	limits := bind(pc)
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	lazy := pc.Copy()
	lazy.MaxConns = lazyConns
	lazy.ConnConfig.RuntimeParams["synchronous_commit"] = "off"
	lazyPool, err := pgxpool.NewWithConfig(ctx, lazy)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	limits.reset = func() { pool.Reset(); lazyPool.Reset() }
	s := &Store{bounds: limits, total: total, queries: queries{pooled{pool}}, pool: pool,
		lazy: lazyPool, logger: c.Logger,
		claiming: group{pool: lazyPool}, concluding: group{pool: pool},
		publishing: group{pool: pool},
		leaseTime:  leaseTime}
	s.watch = newWatcher(s)
	return s, nil
}

// Close stops the watcher and closes every connection.
func (s *Store) Close() {
	s.watch.close()
	s.pool.Close()
	s.lazy.Close()
}

// Ping checks that the server responds.
func (s *Store) Ping(ctx context.Context) error { return translate(s.pool.Ping(ctx), "", "") }

// InTx runs fn in a transaction and commits it if fn returns nil. If ctx carries a transaction
// (Once), fn runs as a part of it. Otherwise, it rolls back and runs fn again if another
// transaction keeps the domain locked that fn locks: fn locks it before it changes anything.
func (s *Store) InTx(ctx context.Context, fn func(*Tx) error) error {
	if conn := joined(ctx); conn != nil {
		return translate(inPart(ctx, conn, fn), "", "")
	}
	err := unlessLocked(ctx, func() error {
		return pgx.BeginFunc(ctx, s.pool,
			func(tx pgx.Tx) error { return fn(&Tx{queries: queries{tx}}) })
	})
	return translate(err, "", "")
}

// translate converts an error of the driver into an error of package controlplane, if it means that
// an object was not found, the database is unavailable, or a text is invalid. noun and id identify
// the object for the first.
func translate(err error, noun, id string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*controlplane.Error](err); ok {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return controlplane.NotFound(noun, id)
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) { // of the caller or of the statement
		return unavailable(err)
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return unavailable(err) // also if the server rejects the role, see SetupErrorOf
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pe.Code[:2] {
		// connection, transaction rollback, resources, operator intervention
		case "08", "40", "53", "57":
			return unavailable(err)
		}
		if pe.Code == lockNotAvailable || pe.Code == readOnly {
			return unavailable(err)
		}
		if pe.Code == "22021" || pe.Code == "22P05" {
			return &controlplane.Error{Kind: controlplane.KindInvalid,
				Code: "invalid-character", Err: err,
				Message: "A text contains a character that can't be stored.",
				Fix:     "Remove NUL characters (U+0000) from the text."}
		}
		return err
	}
	if isNetwork(err) { // a loss of the connection (reset, closed) has no code
		return unavailable(err)
	}
	return err
}

func unavailable(err error) error {
	message := "The database is temporarily unavailable."
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok &&
		(pe.Code == diskFull || pe.Code == readOnly) {
		message = "The database can't store data."
	}
	return &controlplane.Error{Kind: controlplane.KindUnavailable, Code: "database-unavailable",
		Message: message, Fix: "Retry in a few seconds.", Err: err}
}
