package program

import (
	"fmt"
	"testing"
)

// TestFirstCAFailsDuringHundredOrders stops the first CA in the middle of a hundred orders. Each
// domain still gets exactly one certificate.
func TestFirstCAFailsDuringHundredOrders(t *testing.T) {
	t.Parallel()
	const n = 100
	// The CA stops at the fortieth download, while more orders are in progress.
	g := newGate(false, pathCount("/certZ/", 40))
	s := startStack(t, DevConfig{EmbeddedRedis: true, WrapCA: primaryOnly(g)})
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		<-g.reached
		s.Primary.SetDown(true)
		close(g.opened)
	}()
	var ids []string
	for i := range n {
		ids = append(ids, s.add(fmt.Sprintf("amid%d.example.com", i)).Id)
	}
	<-killed
	for _, id := range ids {
		s.waitActive(id)
	}
	if got := query[int](s, `SELECT count(*) FROM certificates`); got != n {
		t.Errorf("certificates = %d, want %d", got, n)
	}
	primary := query[int](s, `SELECT count(*) FROM certificates WHERE ca = 'primary'`)
	backup := query[int](s, `SELECT count(*) FROM certificates WHERE ca = 'backup'`)
	t.Logf("certificates from the first CA: %d, from the second: %d", primary, backup)
	if primary == 0 || backup == 0 {
		t.Errorf("certificates from the first CA: %d, from the second: %d, want some from each",
			primary, backup)
	}
	if dead := query[int](s,
		`SELECT count(*) FROM jobs WHERE dead_lettered_at IS NOT NULL`); dead != 0 {
		t.Errorf("dead-lettered jobs = %d, want 0", dead)
	}
}
