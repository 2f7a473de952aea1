package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// OrderAges describe orders in the same state.
type OrderAges struct {
	Count  int
	Oldest time.Duration // since it was created; 0 without orders
}

// OpenOrders describe the orders of all organizations that are not over.
type OpenOrders struct{ InProgress, SetAside OrderAges }

// OpenOrders returns how many orders are not over at now, and how old they are. It reads only
// these, by index.
func (s *Store) OpenOrders(ctx context.Context, now time.Time) (OpenOrders, error) {
	rows, err := s.db.Query(ctx, `
		SELECT false, count(*), min(created_at) FROM acme_orders WHERE step NOT IN ('stored', 'failed', 'set-aside')
		UNION ALL SELECT true, count(*), min(created_at) FROM acme_orders WHERE step = 'set-aside'`)
	if err != nil {
		return OpenOrders{}, translate(err, "", "")
	}
	var found OpenOrders
	var aside bool
	var count int
	var oldest *time.Time
	_, err = pgx.ForEachRow(rows, []any{&aside, &count, &oldest}, func() error {
		ages := OrderAges{Count: count}
		if oldest != nil {
			ages.Oldest = now.Sub(*oldest)
		}
		if aside {
			found.SetAside = ages
		} else {
			found.InProgress = ages
		}
		return nil
	})
	return found, translate(err, "", "")
}
