package program

import (
	"fmt"
	"testing"
)

// The first CA is killed in the middle of a hundred orders: all hundred end with a
// certificate, each domain with one, and the split between the CAs is shown.
func TestFirstCAKilledAmidHundredOrders(t *testing.T) {
	t.Parallel()
	const n = 100
	// The fortieth download is where the CA goes away, with more orders under way.
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
		t.Errorf("there are %d certificates for %d domains", got, n)
	}
	primary := query[int](s, `SELECT count(*) FROM certificates WHERE ca = 'primary'`)
	backup := query[int](s, `SELECT count(*) FROM certificates WHERE ca = 'backup'`)
	t.Logf("%d certificates from the first CA, %d from the second", primary, backup)
	if primary == 0 || backup == 0 {
		t.Errorf("%d certificates from the first CA, %d from the second: it was not killed in the middle", primary, backup)
	}
	if dead := query[int](s, `SELECT count(*) FROM jobs WHERE dead_lettered_at IS NOT NULL`); dead != 0 {
		t.Errorf("%d jobs died", dead)
	}
}
