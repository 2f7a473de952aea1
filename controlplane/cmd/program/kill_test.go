package program

import (
	"slices"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// TestWorkerKilledAtEachStep kills a worker with SIGKILL at each step of an order. The next worker
// completes the order from the recorded state. The CA gets a second order only if the response to
// the first newOrder request was lost.
func TestWorkerKilledAtEachStep(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step  controlplane.OrderStep
		gate  *gate
		extra int // extra orders that the CA may get
	}{
		"created, order not requested": {controlplane.StepCreated,
			newGate(false, pathHas("/order-plz")), 0},
		"created, response lost": {controlplane.StepCreated, newGate(true, pathHas("/order-plz")),
			1},
		"ordered": {controlplane.StepOrdered, newGate(false, pathHas("/authZ/")),
			0},
		"published": {controlplane.StepAuthorized,
			newGate(false, pathHas("/chalZ/")), 0},
		"published, response lost": {controlplane.StepAuthorized, newGate(true, pathHas("/chalZ/")),
			0},
		"accepted": {controlplane.StepAuthorized,
			newGate(false, pathAfter("/chalZ/", "/authZ/")), 0},
		"ready": {controlplane.StepReady,
			newGate(false, pathHas("/finalize-order/")), 0},
		"ready, response lost": {controlplane.StepReady,
			newGate(true, pathHas("/finalize-order/")), 0},
		"finalized": {controlplane.StepReady,
			newGate(false, pathAfter("/finalize-order/", "/my-order/")), 0},
		"issued":                {controlplane.StepReady, newGate(false, pathHas("/certZ/")), 0},
		"issued, response lost": {controlplane.StepReady, newGate(true, pathHas("/certZ/")), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startStack(t, DevConfig{EmbeddedRedis: true, NoWork: true,
				WrapCA: primaryOnly(c.gate)})
			first := s.startWorker()
			d := s.add("killed.example.com")
			select {
			case <-c.gate.reached:
			case <-t.Context().Done():
			}
			if got := s.orderStep(d.Id); got != c.step {
				t.Errorf("step of the order = %s, want %s", got, c.step)
			}
			first.kill()
			s.startWorker()
			s.waitActive(d.Id)
			if got := s.Primary.Orders(); got > 1+c.extra {
				t.Errorf("orders at the CA = %d, want at most %d", got, 1+c.extra)
			}
			if got := s.Backup.Orders(); got != 0 {
				t.Errorf("orders at the backup CA = %d, want 0", got)
			}
			if n := query[int](s, `SELECT count(*) FROM certificates WHERE domain_id = $1`,
				d.Id); n != 1 {
				t.Errorf("certificates = %d, want 1", n)
			}
			if n := query[int](s, `SELECT count(*) FROM challenges`); n != 0 {
				t.Errorf("remaining challenges = %d, want 0", n)
			}
		})
	}
}

// TestWorkerKilledWhilePublishing kills a worker while one of the name servers does not serve the
// challenge yet. The next worker publishes the same stored values for the same order.
func TestWorkerKilledWhilePublishing(t *testing.T) {
	t.Parallel()
	replica := startDeafReplica(t)
	s := startStack(t, DevConfig{EmbeddedRedis: true, NoWork: true, Configure: func(c *Config) {
		c.DNS.Servers = append(slices.Clone(c.DNS.Listen), replica.addr)
		replica.upstream = c.DNS.Listen[0]
	}})
	first := s.startWorker()
	d := s.add("publishing.example.com")
	<-replica.asked
	if got := s.orderStep(d.Id); got != controlplane.StepAuthorized {
		t.Errorf("step of the order = %s, want %s", got, controlplane.StepAuthorized)
	}
	if n := query[int](s, `SELECT count(*) FROM challenges`); n != 1 {
		t.Errorf("challenges = %d, want 1", n)
	}
	first.kill()
	replica.open()
	s.startWorker()
	s.waitActive(d.Id)
	if got := s.Primary.Orders(); got != 1 {
		t.Errorf("orders at the CA = %d, want 1", got)
	}
}
