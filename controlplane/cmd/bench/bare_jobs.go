package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// bareJobs are rows that a task of bareQueue claims and concludes, with one durable update each.
// This is the minimum cost of keeping jobs in Postgres, without domains, a log, or notifications.
type bareJobs struct{ pool *pgxpool.Pool }

func openBareJobs(ctx context.Context, dsn string) (*bareJobs, error) {
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	c.MaxConns = 12 // the same as the store
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	if _, err = pool.Exec(ctx,
		`CREATE TABLE bare_jobs (id text PRIMARY KEY, status text NOT NULL, claimed_by text NOT NULL DEFAULT '', result jsonb)`); err != nil {
		pool.Close()
		return nil, err
	}
	return &bareJobs{pool}, nil
}

func (j *bareJobs) add(ctx context.Context, prefix string, n int) error {
	_, err := j.pool.Exec(ctx,
		`INSERT INTO bare_jobs (id, status) SELECT $1 || i, 'queued' FROM generate_series(0, $2 - 1) i`, prefix, n)
	return err
}

// run handles a task.
func (j *bareJobs) run(ctx context.Context, payload []byte) error {
	var p struct{ Job string }
	if err := json.Unmarshal(payload, &p); err != nil {
		return err
	}
	for _, sql := range []string{
		`UPDATE bare_jobs SET status = 'running', claimed_by = 'worker' WHERE id = $1 AND status = 'queued'`,
		`UPDATE bare_jobs SET status = 'succeeded', claimed_by = '', result = '{"delegated": true}' WHERE id = $1 AND claimed_by = 'worker'`,
	} {
		tag, err := j.pool.Exec(ctx, sql, p.Job)
		if err != nil {
			return err
		}
		if tag.RowsAffected() != 1 {
			return fmt.Errorf("job %s not found", p.Job)
		}
	}
	return nil
}
