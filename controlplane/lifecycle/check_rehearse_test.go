package lifecycle_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// rehearsal moves the clock to the domain's next look and has it queued.
func (w *world) rehearsal(d *controlplane.Domain) *controlplane.Job {
	w.t.Helper()
	w.clock.set(value[time.Time](w, `SELECT rehearse_at FROM domains WHERE id = $1`, d.ID))
	if n, err := w.Rehearse(w.t.Context()); n != 1 || err != nil {
		w.t.Fatalf("%d looks were queued, %v", n, err)
	}
	return w.job(d, controlplane.JobDNSCheck)
}

// The looks at an active domain come as often as its certificate's life wants, in bulk.
func TestRehearsalsFollowTheLifetime(t *testing.T) {
	t.Parallel()
	for life, every := range map[time.Duration]time.Duration{90 * day: day, 45 * day: day, 6 * day: 12 * time.Hour} {
		w := newWorld(t)
		w.ca.lives(life)
		d := w.active("example.com")
		if n, err := w.Rehearse(t.Context()); n != 0 || err != nil {
			t.Errorf("%s: %d looks at once, %v", life, n, err)
		}
		began := w.clock.Now()
		for turn := range 3 {
			j := w.rehearsal(d)
			if wait := w.clock.Now().Sub(began); turn == 0 && (wait < every/2 || wait > every) || turn > 0 && wait != every {
				t.Errorf("%s: look %d comes after %s", life, turn, wait)
			}
			began = w.clock.Now()
			if j.Queue != controlplane.QueueBulk {
				t.Errorf("%s: %+v", life, j)
			}
			if j = w.run(d, controlplane.JobDNSCheck); j.Status != controlplane.JobSucceeded || j.Result["delegated"] != true {
				t.Errorf("%s: %+v", life, j)
			}
			if n, err := w.Rehearse(t.Context()); n != 0 || err != nil {
				t.Errorf("%s: %d looks more, %v", life, n, err)
			}
		}
		if n := w.jobs(d, controlplane.JobStartIssuance); n != 1 {
			t.Errorf("%s: a look began %d issuances", life, n-1)
		}
	}
}

// Drift is told once, with its cause, and what was put right is on track again.
func TestRehearsalFindsDrift(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	for range 2 {
		w.rehearsal(d)
		if j := w.run(d, controlplane.JobDNSCheck); j.Status != controlplane.JobSucceeded || j.Result["code"] != controlplane.CauseCNAMEMissing {
			t.Errorf("%+v", j)
		}
		wantStatus(t, w.domain(d), controlplane.DomainActive, "")
		wantCondition(t, w.domain(d), controlplane.RenewalOnTrack, "false", controlplane.CauseCNAMEMissing)
	}
	if n := w.count(d.ID, controlplane.ActionDelegationBroken); n != 1 {
		t.Errorf("told %d times", n)
	}
	w.doctor.finds(controlplane.CauseOK)
	w.rehearsal(d)
	w.run(d, controlplane.JobDNSCheck)
	wantCondition(t, w.domain(d), controlplane.RenewalOnTrack, "true", "scheduled")
}

// A look that taught nothing, because no resolver answered, is no look: it waits with its
// reason, says nothing new of the domain, and is done when somebody answers.
func TestRehearsalWithoutAnyResolverWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	looked := *w.domain(d).Condition(controlplane.DNSReady).LastCheckedAt
	w.doctor.finds(controlplane.CauseResolverUnreachable)
	w.rehearsal(d)
	for range 3 {
		j := w.runDue(d, controlplane.JobDNSCheck)
		wantJob(t, j, controlplane.JobQueued, controlplane.CauseResolverUnreachable, 0)
		if wait := j.RunAt.Sub(w.clock.Now()); wait != 5*time.Minute {
			t.Errorf("it waits %s", wait)
		}
		now := w.domain(d)
		wantStatus(t, now, controlplane.DomainActive, "")
		wantCondition(t, now, controlplane.RenewalOnTrack, "true", "scheduled")
		if c := wantCondition(t, now, controlplane.DNSReady, "true", "delegated"); !c.LastCheckedAt.Equal(looked) || c.NextCheckAt == nil || !c.NextCheckAt.Equal(j.RunAt) {
			t.Errorf("%+v, looked at %s", c, looked)
		}
	}
	// Somebody who asks is answered sooner.
	_, _, err := w.RequestCheck(t.Context(), alice, w.org, d.ID)
	must(t, err)
	if j := w.run(d, controlplane.JobDNSCheck); j.RunAt.Sub(w.clock.Now()) != 15*time.Second {
		t.Errorf("%+v", j)
	}
	w.doctor.finds(controlplane.CauseOK)
	j := w.runDue(d, controlplane.JobDNSCheck)
	wantJob(t, j, controlplane.JobSucceeded, "", 0)
	if c := w.domain(d).Condition(controlplane.DNSReady); !c.LastCheckedAt.Equal(w.clock.Now()) || c.NextCheckAt != nil {
		t.Errorf("%+v", c)
	}
}
