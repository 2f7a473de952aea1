package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

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
	p, closeDB, err := s.provider()
	if err != nil {
		return false, err
	}
	defer closeDB()
	pending, err := p.HasPending(ctx)
	return !pending, translate(err, "", "")
}

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
	patient.RuntimeParams["lock_timeout"] = "0"
	sqlDB := stdlib.OpenDB(*patient)
	p, err := goose.NewProvider(goose.DialectPostgres, sqlDB, dir, goose.WithSessionLocker(locker))
	if err != nil {
		_ = sqlDB.Close()
		return nil, nil, fmt.Errorf("postgres: %w", err)
	}
	return p, func() { _ = sqlDB.Close() }, nil
}
