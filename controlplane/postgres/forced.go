package postgres

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// TakeForced counts a forced attempt at a CA. It returns false if another one was made there within
// controlplane.ForcedEvery, by any worker.
func (s *Store) TakeForced(ctx context.Context, ca string, now time.Time) (bool, error) {
	tag, err := s.db.Exec(ctx, `
		INSERT INTO forced_attempts AS f (ca, last_at, attempts) VALUES (@ca, @now, 1)
		ON CONFLICT (ca) DO UPDATE SET last_at = excluded.last_at, attempts = f.attempts + 1
		WHERE f.last_at <= @before`,
		named{"ca": ca, "now": now, "before": now.Add(-controlplane.ForcedEvery)})
	return err == nil && tag.RowsAffected() > 0, translate(err, "", "")
}

// ForcedAttempts returns how many attempts were forced at each CA.
func (s *Store) ForcedAttempts(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	rows, err := s.db.Query(ctx, `SELECT ca, attempts FROM forced_attempts`)
	if err != nil {
		return nil, translate(err, "", "")
	}
	defer rows.Close()
	for rows.Next() {
		var ca string
		var n int
		if err := rows.Scan(&ca, &n); err != nil {
			return nil, translate(err, "", "")
		}
		counts[ca] = n
	}
	return counts, translate(rows.Err(), "", "")
}
