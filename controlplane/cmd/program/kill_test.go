package program

import (
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// A worker that is killed with SIGKILL at any step of an order leaves the order to be finished
// by the next one, from what is recorded by then: the certificate comes, and the CA sees no second order but
// where it could not be known that there was a first.
func TestWorkerKilledAtEachStep(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step  controlplane.OrderStep
		gate  *gate
		extra int // orders more than one that the CA may have seen
	}{
		"created, the CA not asked yet":   {controlplane.StepCreated, newGate(false, pathHas("/order-plz")), 0},
		"created, the CA's answer lost":   {controlplane.StepCreated, newGate(true, pathHas("/order-plz")), 1},
		"ordered":                         {controlplane.StepOrdered, newGate(false, pathHas("/authZ/")), 0},
		"published":                       {controlplane.StepAuthorized, newGate(false, pathHas("/chalZ/")), 0},
		"published, the CA's answer lost": {controlplane.StepAuthorized, newGate(true, pathHas("/chalZ/")), 0},
		"accepted":                        {controlplane.StepAuthorized, newGate(false, pathAfter("/chalZ/", "/authZ/")), 0},
		"ready":                           {controlplane.StepReady, newGate(false, pathHas("/finalize-order/")), 0},
		"ready, the CA's answer lost":     {controlplane.StepReady, newGate(true, pathHas("/finalize-order/")), 0},
		"finalized":                       {controlplane.StepReady, newGate(false, pathAfter("/finalize-order/", "/my-order/")), 0},
		"issued":                          {controlplane.StepReady, newGate(false, pathHas("/certZ/")), 0},
		"issued, the certificate lost on its way": {controlplane.StepReady, newGate(true, pathHas("/certZ/")), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startStack(t, DevConfig{EmbeddedRedis: true, NoWork: true, WrapCA: primaryOnly(c.gate)})
			first := s.startWorker()
			d := s.add("killed.example.com")
			select {
			case <-c.gate.reached:
			case <-t.Context().Done():
			}
			if got := s.orderStep(d.Id); got != c.step {
				t.Errorf("the order is at step %s, not %s", got, c.step)
			}
			first.kill()
			s.startWorker()
			s.waitActive(d.Id)
			if got := s.Primary.Orders(); got > 1+c.extra {
				t.Errorf("the CA saw %d orders, more than %d", got, 1+c.extra)
			}
			if got := s.Backup.Orders(); got != 0 {
				t.Errorf("the backup CA saw %d orders", got)
			}
			if n := query[int](s, `SELECT count(*) FROM certificates WHERE domain_id = $1`, d.Id); n != 1 {
				t.Errorf("there are %d certificates", n)
			}
			if n := query[int](s, `SELECT count(*) FROM challenges`); n != 0 {
				t.Errorf("%d challenges were left behind", n)
			}
		})
	}
}

// A worker that is killed while a name server of ours does not answer the challenge yet has
// stored the values: its successor publishes the same ones, in the same order.
func TestWorkerKilledWhilePublishing(t *testing.T) {
	t.Parallel()
	replica := startDeafReplica(t)
	s := startStack(t, DevConfig{EmbeddedRedis: true, NoWork: true, Configure: func(c *Config) {
		c.DNS.Servers = append(c.DNS.Servers, replica.addr)
		replica.upstream = c.DNS.Listen[0]
	}})
	first := s.startWorker()
	d := s.add("publishing.example.com")
	<-replica.asked
	if got := s.orderStep(d.Id); got != controlplane.StepAuthorized {
		t.Errorf("the order is at step %s, not %s", got, controlplane.StepAuthorized)
	}
	if n := query[int](s, `SELECT count(*) FROM challenges`); n != 1 {
		t.Errorf("there are %d challenges", n)
	}
	first.kill()
	replica.open()
	s.startWorker()
	s.waitActive(d.Id)
	if got := s.Primary.Orders(); got != 1 {
		t.Errorf("the CA saw %d orders", got)
	}
}
