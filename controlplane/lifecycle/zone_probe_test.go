package lifecycle_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// prober is the Internet's view of the validation zone.
type prober struct {
	*world
	found  controlplane.ZoneProbe
	served error // of the name servers

	mu    sync.Mutex
	asked []controlplane.ZoneQuestion
}

var reachable = controlplane.ZoneProbe{Reachable: true}

func newProber(t *testing.T) *prober {
	t.Helper()
	p := &prober{found: reachable}
	p.world = newWorld(t, func(c *lifecycle.Config) {
		c.Prober = p
		c.NameServers = func(context.Context) ([]string, error) { return []string{"192.0.2.1:53"}, nil }
		c.Visible = func(context.Context, string, []string) error { return p.served }
	})
	must(t, p.Store.ExtendReplica(t.Context(), postgres.Replica{ID: "1", Address: "192.0.2.1:53",
		Beat: 1}, time.Hour))
	return p
}

// ProbeZone implements lifecycle.Prober. The record has the value that is queried.
func (p *prober) ProbeZone(
	ctx context.Context, q controlplane.ZoneQuestion,
) controlplane.ZoneProbe {
	exists, values, err := p.Store.LookupTarget(ctx, controlplane.ProbeTarget, p.clock.Now())
	if err != nil || !exists || len(values) != 1 || values[0].Value != q.Value {
		p.t.Errorf("the probe's record = %v, %v, want the value %s", values, err, q.Value)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, q)
	return p.found
}

// probe lets the given time pass and probes if that is due. It returns the state.
func (p *prober) probe(after time.Duration) controlplane.ZoneState {
	p.t.Helper()
	p.clock.add(after)
	must(p.t, p.Service.ProbeZone(p.t.Context()))
	state, err := p.Store.ZoneState(p.t.Context())
	must(p.t, err)
	p.clock.add(time.Second) // orders may use a state that is a second old
	return state
}

func unreachable(step controlplane.ZoneStep) controlplane.ZoneProbe {
	return controlplane.ZoneProbe{Problems: []controlplane.ZoneProblem{{Step: step, Detail: "broken"}}}
}

// The zone is probed each minute, and every 10 s after a failure. From the first failure on, no
// order starts. The third holds orders and tells customers that the cause is the operator's. One
// success starts them.
func TestUnreachableZoneHoldsOrders(t *testing.T) {
	t.Parallel()
	p := newProber(t)
	if s := p.probe(0); s.Failures != 0 || len(p.asked) != 1 || p.asked[0].Zone != zone ||
		p.asked[0].Servers[0] != "192.0.2.1:53" {
		t.Errorf("state = %+v after %+v, want no failure after one probe", s, p.asked)
	}
	if p.probe(50 * time.Second); len(p.asked) != 1 {
		t.Errorf("probes within a minute = %d, want 1", len(p.asked))
	}
	p.found = unreachable(controlplane.ZoneGlue)
	since := p.clock.Now().Add(10 * time.Second)
	if s := p.probe(10 * time.Second); s.Failures != 1 || s.Held() || !s.Since.Equal(since) ||
		s.Problems[0].Step != controlplane.ZoneGlue || p.asked[0].Value == p.asked[1].Value {
		t.Errorf("state after a failure = %+v of %+v, want 1 failure since %s", s, p.asked, since)
	}
	d := p.issuing("example.com")
	wantJob(t, p.run(d, controlplane.JobStartIssuance), controlplane.JobQueued,
		controlplane.ReasonZoneNotAnswering, 0)
	p.probe(10 * time.Second)
	if s := p.probe(10 * time.Second); s.Failures != 3 || !s.Held() || !s.Since.Equal(since) {
		t.Errorf("state after three failures = %+v, want it held since %s", s, since)
	}
	wantJob(t, p.runDue(d, controlplane.JobStartIssuance), controlplane.JobQueued,
		controlplane.ReasonZoneUnreachable, 0)
	d = p.domain(d)
	c := d.Condition(controlplane.CertificateReady)
	if string(c.Reason) != controlplane.ReasonZoneUnreachable ||
		!strings.Contains(c.Message, "The domain's DNS is not the cause.") {
		t.Errorf("condition = %+v, want that the zone is unreachable", c)
	}
	if s := d.Summary(p.clock.Now()); s.Actor != controlplane.PartyOperator {
		t.Errorf("actor = %s, want the operator", s.Actor)
	}
	if n := len(p.ca.runs()); n != 0 {
		t.Errorf("orders at the CA = %d, want 0", n)
	}
	if n, err := p.Store.CountUnserved(t.Context()); err != nil || n != 1 {
		t.Errorf("CountUnserved = %d, %v, want 1", n, err)
	}

	p.found = reachable
	s := p.probe(10 * time.Second)
	if s.Failures != 0 || !s.Since.IsZero() || !s.NextAt.Equal(s.CheckedAt.Add(time.Minute)) {
		t.Errorf("state after a success = %+v, want no failure and the next probe in a minute", s)
	}
	if j := p.job(d, controlplane.JobStartIssuance); j.RunAt.After(s.CheckedAt) {
		t.Errorf("the job runs at %s, want it due at %s", j.RunAt, s.CheckedAt)
	}
	wantJob(t, p.run(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
}

// An order in progress does not continue to its validation while the zone is unreachable.
func TestUnreachableZoneStopsValidation(t *testing.T) {
	t.Parallel()
	p := newProber(t)
	d := p.issuing("example.com")
	p.ca.answer(func(ctx context.Context, o *controlplane.Order, j controlplane.Journal) error {
		p.found = unreachable(controlplane.ZonePort53)
		p.probe(time.Minute)
		return j.Publish(ctx, o)
	})
	wantJob(t, p.run(d, controlplane.JobStartIssuance), controlplane.JobQueued,
		controlplane.ReasonZoneNotAnswering, 0)
}

// Several workers probe once, at the time of one.
func TestOneWorkerProbes(t *testing.T) {
	t.Parallel()
	p := newProber(t)
	p.found = unreachable(controlplane.ZoneDelegation)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			if err := p.Service.ProbeZone(t.Context()); err != nil {
				t.Errorf("ProbeZone = %v, want nil", err)
			}
		})
	}
	workers.Wait()
	s, err := p.Store.ZoneState(t.Context())
	if err != nil || s.Failures != 1 || len(p.asked) != 1 {
		t.Errorf("state = %+v, %v after %d probes, want 1 failure after 1", s, err, len(p.asked))
	}
}

// A check that found the target not served waits for the same cause, and is due with the orders.
func TestChecksContinueWithTheZone(t *testing.T) {
	t.Parallel()
	p := newProber(t)
	d := p.add("example.com")
	p.doctor.finds(controlplane.CauseTargetNotServed)
	p.found = unreachable(controlplane.ZonePort53)
	p.probe(0)
	var j *controlplane.Job
	for range 4 { // the pauses grow
		j = p.runDue(d, controlplane.JobDNSCheck)
	}
	wantJob(t, j, controlplane.JobQueued, controlplane.CauseTargetNotServed, 0)
	p.found = reachable
	s := p.probe(10 * time.Second)
	at := p.job(d, controlplane.JobDNSCheck).RunAt
	if !at.Before(j.RunAt) || at.After(s.CheckedAt) {
		t.Errorf("the check runs at %s, and before the probe at %s, want it at %s at most", at, j.RunAt,
			s.CheckedAt)
	}
}

// A name server that does not serve the record is a failure, too.
func TestUnservedProbeHoldsOrders(t *testing.T) {
	t.Parallel()
	p := newProber(t)
	p.served = errors.New("192.0.2.1:53 answers SERVFAIL")
	if s := p.probe(0); s.Failures != 1 || len(s.Problems) != 1 ||
		s.Problems[0].Step != controlplane.ZoneReplica {
		t.Errorf("state = %+v, want a failure at a replica", s)
	}
}

// A partial problem is for the operator only.
func TestPartialZoneProblemHoldsNothing(t *testing.T) {
	t.Parallel()
	p := newProber(t)
	p.found = unreachable(controlplane.ZonePort53)
	p.found.Reachable = true
	if s := p.probe(0); s.Failures != 0 || len(s.Problems) != 1 {
		t.Errorf("state = %+v, want a problem without a failure", s)
	}
	wantJob(t, p.run(p.issuing("example.com"), controlplane.JobStartIssuance),
		controlplane.JobSucceeded, "", 0)
}

// Name servers of earlier versions have no lease and do not know the record.
func TestProbeNeedsALease(t *testing.T) {
	t.Parallel()
	p := newProber(t)
	must(t, p.Store.EndReplica(t.Context(), "1"))
	p.found = unreachable(controlplane.ZoneReplica)
	if s := p.probe(0); s.Failures != 0 || len(p.asked) != 0 {
		t.Errorf("state = %+v after %d probes, want none", s, len(p.asked))
	}
}

// If no worker probes any more, nothing is held.
func TestOldZoneStateHoldsNothing(t *testing.T) {
	t.Parallel()
	p := newProber(t)
	p.found = unreachable(controlplane.ZoneDelegation)
	p.probe(0)
	p.clock.add(6 * time.Minute)
	wantJob(t, p.run(p.issuing("example.com"), controlplane.JobStartIssuance),
		controlplane.JobSucceeded, "", 0)
}

// If a CA can't look up the challenge, the zone is probed at once. While the zone is unreachable,
// the CA's error does not blame the customer.
func TestZoneIsBlamedForTheCAsLookup(t *testing.T) {
	t.Parallel()
	p := newProber(t)
	p.probe(0)
	d := p.issuing("example.com")
	rejects := refuses(controlplane.VerdictDNS)
	p.ca.rejectAll(rejects)
	p.run(d, controlplane.JobStartIssuance)
	if p.probe(0); len(p.asked) != 2 {
		t.Errorf("probes after the CA's error = %d, want one more than 1", len(p.asked))
	}
	p.ca.answer(func(context.Context, *controlplane.Order, controlplane.Journal) error {
		p.found = unreachable(controlplane.ZonePort53)
		for range controlplane.HeldAfter {
			p.probe(time.Minute)
		}
		return rejects
	})
	wantJob(t, p.runDue(d, controlplane.JobStartIssuance), controlplane.JobQueued,
		controlplane.ReasonZoneUnreachable, 1) // the first run failed
}
