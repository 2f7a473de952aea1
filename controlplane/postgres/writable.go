package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// lessMemory applies to the rest of a transaction.
const lessMemory = `SELECT set_config('work_mem', '64kB', true)`

// spillSQL sorts 200 kB with work_mem at 64 kB, so that Postgres writes a temporary file. This
// needs new space on the disk of its data, while an updated row may not.
const spillSQL = `SELECT count(*) FROM (
	SELECT repeat(md5(i::text), 64) AS filler FROM generate_series(1, 100) AS i ORDER BY filler OFFSET 0
) AS sorted`

// CheckWritable returns an error if Postgres responds but cannot store data: its disk is full, or
// it is read-only, as after a failover. It writes a row and a temporary file, and changes nothing
// that others read.
func (s *Store) CheckWritable(ctx context.Context) error {
	b := &pgx.Batch{} // one transaction
	b.Queue(lessMemory)
	b.Queue(spillSQL)
	b.Queue(`INSERT INTO write_checks (single, checked_at) VALUES (true, clock_timestamp())
		ON CONFLICT (single) DO UPDATE SET checked_at = clock_timestamp()`)
	err := s.pool.SendBatch(ctx, b).Close()
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && pe.Code == undefinedTable {
		return nil // Migrated reports it
	}
	return translate(err, "", "")
}
