package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Canaries returns the stored canaries by name. It returns nil if the schema has none yet.
func (s *Store) Canaries(ctx context.Context) (map[string][]byte, error) {
	rows, _ := s.pool.Query(ctx, `SELECT name, value FROM canaries`)
	found := map[string][]byte{}
	var name string
	var value []byte
	_, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		found[name] = append([]byte(nil), value...)
		return nil
	})
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && pe.Code == undefinedTable {
		return nil, nil
	}
	if err != nil {
		return nil, translate(err, "", "")
	}
	return found, nil
}

// AddCanaries stores canaries, except those that exist.
func (s *Store) AddCanaries(ctx context.Context, canaries map[string][]byte) error {
	b := &pgx.Batch{}
	for name, value := range canaries {
		b.Queue(`INSERT INTO canaries (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, value)
	}
	return translate(s.pool.SendBatch(ctx, b).Close(), "", "")
}

// Sample is an object that depends on a secret: a domain's target, or sealed data.
type Sample struct {
	OrgID, Name, Target string
	Sealed              []byte
	Owner               string // associated data of Sealed
}

// SampleTargets returns targets of domains of any organizations, at most 20.
func (s *Store) SampleTargets(ctx context.Context) ([]Sample, error) {
	return all(ctx, s.queries, func(row pgx.CollectableRow) (x Sample, err error) {
		err = row.Scan(&x.OrgID, &x.Name, &x.Target)
		return x, err
	}, `SELECT org_id, name, cname_target FROM domains LIMIT 20`)
}

// SampleSealed returns sealed data of any owners, at most 40.
func (s *Store) SampleSealed(ctx context.Context) ([]Sample, error) {
	return all(ctx, s.queries, func(row pgx.CollectableRow) (x Sample, err error) {
		err = row.Scan(&x.Owner, &x.Sealed)
		return x, err
	}, `(SELECT directory_url, sealed_key FROM acme_accounts LIMIT 20)
		UNION ALL (SELECT webhook_id, sealed FROM webhook_secrets LIMIT 20)`)
}
