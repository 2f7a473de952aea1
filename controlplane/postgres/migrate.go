package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate migrates the schema to the latest version. It holds a lock, so any number of replicas may
// call it at the same time. It returns how many migrations it applied.
func (s *Store) Migrate(ctx context.Context) (int, error) {
	p, closeDB, err := s.provider()
	if err != nil {
		return 0, err
	}
	defer closeDB()
	done, err := p.Up(ctx)
	if err != nil {
		return len(done), fmt.Errorf("postgres: migrating: %w", err)
	}
	return len(done), nil
}

// Migrated reports whether the schema has all migrations of this program.
func (s *Store) Migrated(ctx context.Context) (bool, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return false, err
	}
	rows, _ := s.pool.Query(ctx, `SELECT version_id FROM goose_db_version WHERE is_applied`)
	applied, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && pe.Code == undefinedTable {
		return false, nil
	}
	if err != nil {
		return false, translate(err, "", "")
	}
	for _, file := range files {
		version, err := goose.NumericComponent(file)
		if err != nil || !slices.Contains(applied, version) {
			return false, err
		}
	}
	return true, nil
}

// undefinedTable is Postgres' code for a table that does not exist.
const undefinedTable = "42P01"

func (s *Store) provider() (*goose.Provider, func(), error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, nil, err
	}
	// seconds, tries
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300),
		lock.WithUnlockTimeout(1, 60))
	if err != nil {
		return nil, nil, err
	}
	// Creating an index concurrently waits for every transaction that is in progress.
	patient := s.pool.Config().ConnConfig
	patient.Tracer = nil
	for _, limit := range []string{"lock_timeout", "statement_timeout",
		"idle_in_transaction_session_timeout"} {
		patient.RuntimeParams[limit] = "0"
	}
	sqlDB := stdlib.OpenDB(*patient)
	p, err := goose.NewProvider(goose.DialectPostgres, sqlDB, dir, goose.WithSessionLocker(locker))
	if err != nil {
		_ = sqlDB.Close()
		return nil, nil, fmt.Errorf("postgres: %w", err)
	}
	return p, func() { _ = sqlDB.Close() }, nil
}
