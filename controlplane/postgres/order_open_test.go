package postgres_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// TestOpenOrders tests the number and age of orders in progress, set aside, and over.
func TestOpenOrders(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	if got, err := d.OpenOrders(ctx, start); err != nil || got != (postgres.OpenOrders{}) {
		t.Errorf("OpenOrders() without orders = %+v, %v, want the zero value", got, err)
	}
	for name, o := range map[string]struct {
		step string
		age  time.Duration
	}{"new": {"created", time.Minute}, "old": {"published", time.Hour},
		"aside": {"set-aside", 2 * time.Hour}, "stored": {"stored", 3 * time.Hour},
		"failed": {"failed", 4 * time.Hour}} {
		_, j := d.add(d.org, name+".example.com")
		order := d.order(d.claim(j, "w"))
		d.exec(`UPDATE acme_orders SET step = $2, created_at = $3, poll_at = CASE WHEN $2 = 'set-aside' THEN $3::timestamptz END WHERE id = $1`,
			order.ID, o.step, start.Add(-o.age))
	}
	want := postgres.OpenOrders{InProgress: postgres.OrderAges{Count: 2, Oldest: time.Hour},
		SetAside: postgres.OrderAges{Count: 1, Oldest: 2 * time.Hour}}
	if got, err := d.OpenOrders(ctx, start); err != nil || got != want {
		t.Errorf("OpenOrders(%s) = %+v, %v, want %+v", start, got, err, want)
	}
}
