package lifecycle_test

import (
	"context"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// One call removes several batches, keeps newer entries, and runs on one replica at a time.
func TestRetain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	const old = 5001
	w.exec(`INSERT INTO audit_logs (id, org_id, actor_type, action, created_at) SELECT 'evt_' || i, $1, 'system', 'domain.updated', $2 FROM generate_series(1, $3::int) i`,
		w.org, start.Add(-controlplane.TierPro.LogKept()-day), old)
	if _, err := w.Store.TryLocked(t.Context(), "dcvaas-retain", func(ctx context.Context) error {
		n, err := w.Retain(ctx)
		if n != 0 {
			t.Errorf("Retain during another one = %d, want 0", n)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{old, 0} {
		n, err := w.Retain(t.Context())
		if must(t, err); n != want {
			t.Errorf("Retain = %d, want %d", n, want)
		}
	}
	if e := w.last(d.ID); e.Action != controlplane.ActionDomainCreated {
		t.Errorf("last entry = %+v, want domain.created", e)
	}
}
