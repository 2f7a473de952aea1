package program

import (
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// addSeveral adds a domain with www, and with a name under another registered domain and its
// wildcard. Each of the three delegations has its own target.
func (s *stack) addSeveral(name string) *client.Domain {
	s.t.Helper()
	www, other := "www."+name, strings.Replace(name, ".com", ".org", 1)
	for _, base := range []string{name, www, other} {
		s.delegate(base)
	}
	d, err := s.api.CreateDomain(s.t.Context(), client.DomainCreate{Name: name,
		AdditionalNames: &[]string{www, other, "*." + other}})
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// TestWorkerKilledInAnOrderOfSeveralNames kills a worker with SIGKILL while an order of several
// names is at different states of its authorizations. Another worker, which may run already,
// completes the order. The values stay published at all targets until then.
func TestWorkerKilledInAnOrderOfSeveralNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step    controlplane.OrderStep
		gate    *gate
		values  int // published when the worker is killed
		standby bool
	}{
		"some authorizations read": {controlplane.StepOrdered,
			newGate(false, pathCount("/authZ/", 3)), 0, false},
		"some challenges accepted": {controlplane.StepAuthorized,
			newGate(false, pathCount("/chalZ/", 3)), 4, true},
		"some challenges accepted, response lost": {controlplane.StepAuthorized,
			newGate(true, pathCount("/chalZ/", 2)), 4, false},
		"all challenges accepted": {controlplane.StepAuthorized,
			newGate(false, pathAfter("/chalZ/", "/my-order/")), 4, true},
		"ready, response lost": {controlplane.StepReady, newGate(true, pathHas("/finalize-order/")),
			4, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startStack(t, DevConfig{EmbeddedRedis: true, NoWork: true,
				WrapCA: primaryOnly(c.gate)})
			first := s.startWorker()
			d := s.addSeveral("killed.example.com")
			select {
			case <-c.gate.reached:
			case <-t.Context().Done():
			}
			if c.standby {
				s.startWorker()
			}
			first.kill()
			if got := s.orderStep(d.Id); got != c.step {
				t.Errorf("step of the order = %s, want %s", got, c.step)
			}
			if n := query[int](s, `SELECT count(*) FROM challenges`); n != c.values {
				t.Errorf("published values = %d, want %d", n, c.values)
			}
			if !c.standby {
				s.startWorker()
			}
			s.waitActive(d.Id)
			if a, b := s.Primary.Orders(), s.Backup.Orders(); a != 1 || b != 0 {
				t.Errorf("orders at the CAs = %d and %d, want 1 and 0", a, b)
			}
			if n := query[int](s, `SELECT sum(cardinality(names)) FROM certificates`); n != 4 {
				t.Errorf("names in certificates = %d, want 4 in one", n)
			}
			if n := query[int](s, `SELECT count(*) FROM challenges`); n != 0 {
				t.Errorf("remaining challenges = %d, want 0", n)
			}
		})
	}
}
