package lifecycle_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// While every CA is unavailable, a job waits with growing pauses up to 15 minutes. No attempt is
// counted, however long that takes, and the job succeeds at the first attempt afterwards.
func TestOutageOfAllCAsIsAWait(t *testing.T) {
	t.Parallel()
	for _, kind := range []controlplane.JobType{controlplane.JobStartIssuance,
		controlplane.JobRenewal} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.issuing("example.com")
			status := controlplane.DomainIssuing
			condition := controlplane.CertificateReady
			if kind == controlplane.JobRenewal {
				w.run(d, controlplane.JobStartIssuance)
				d, status, condition = w.domain(d), controlplane.DomainActive,
					controlplane.RenewalOnTrack
				w.clock.set(*d.RenewAt)
				if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
					t.Fatalf("Sweep = %d, %v, want 1", n, err)
				}
			}
			away := verdictOf(controlplane.VerdictUnreachable)
			w.ca.reject(map[string]verdict{"primary": away, "backup": away})
			began, pause := w.clock.Now(), 8*time.Second
			for w.clock.Now().Sub(began) < 6*time.Hour {
				j := w.runDue(d, kind)
				wantJob(t, j, controlplane.JobQueued, "ca-unreachable", 0)
				if got := j.RunAt.Sub(w.clock.Now()); got != pause {
					t.Errorf("pause %d = %s, want %s", j.Waits, got, pause)
				}
				pause = min(2*pause, 10*time.Minute) // the lower end of the jitter
				got := w.domain(d)
				wantStatus(t, got, status, "")
				if c := wantCondition(t, got, condition, "false",
					"ca-unreachable"); c.NextCheckAt == nil || !c.NextCheckAt.Equal(j.RunAt) {
					t.Errorf("%s = %+v, want the next check at %s", condition, c, j.RunAt)
				}
				if t.Failed() {
					return
				}
			}
			if n := len(w.waits(w.job(d, kind))); n != 1 {
				t.Errorf("%d waits in the log, want 1", n)
			}
			w.ca.answer(nil)
			wantJob(t, w.runDue(d, kind), controlplane.JobSucceeded, "", 0)
		})
	}
}

// A revocation waits for its CA.
func TestRevocationWaitsForItsCA(t *testing.T) {
	t.Parallel()
	w, ca := newRevoking(t)
	d := w.active("example.com")
	_, _, err := w.RevokeCertificate(t.Context(), alice, w.org, d.CertificateID, "superseded",
		false)
	must(t, err)
	before := w.domain(d)
	v := verdictOf(controlplane.VerdictUnreachable)
	v.RetryAt = start.Add(30 * day)
	ca.fails(v)
	if j := w.run(d, controlplane.JobRevocation); j.RunAt.Sub(start) > 23*day {
		t.Errorf("revocation is deferred until %s, want a wait within a quarter of the time until the expiry", j.RunAt)
	}
	ca.fails(verdictOf(controlplane.VerdictUnreachable))
	for range 10 {
		wantJob(t, w.runDue(d, controlplane.JobRevocation), controlplane.JobQueued,
			"ca-unreachable", 0)
	}
	if now := w.domain(d); toJSON(now.Conditions) != toJSON(before.Conditions) {
		t.Errorf("domain = %+v, want it unchanged", now)
	}
	ca.fails(nil)
	wantJob(t, w.runDue(d, controlplane.JobRevocation), controlplane.JobSucceeded, "", 0)
}

// The pauses start over when an order proceeds.
func TestProgressStartsThePausesOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ca.names = w.ca.names[:1]
	d := w.issuing("example.com")
	away := verdictOf(controlplane.VerdictUnreachable)
	w.ca.rejectAll(away)
	for range 4 {
		w.runDue(d, controlplane.JobStartIssuance)
	}
	w.ca.stuck("primary", controlplane.StepAccepted, away)
	for want := 1; want <= 3; want++ {
		if j := w.runDue(d, controlplane.JobStartIssuance); j.Waits != want {
			t.Errorf("job after the order proceeded = %+v, want %d waits", j, want)
		}
	}
}

// A failure, a restart, and a request each start the pauses over.
func TestPausesStartOver(t *testing.T) {
	t.Parallel()
	fail := true
	w := newWorld(t, func(c *lifecycle.Config) {
		c.Visible = noneVisible(&fail)
	})
	d := w.issuing("example.com")
	for range 4 {
		w.runDue(d, controlplane.JobStartIssuance)
	}
	if j := w.job(d, controlplane.JobStartIssuance); j.Waits != 4 {
		t.Fatalf("job = %+v, want 4 waits", j)
	}
	_, _, err := w.RequestIssue(t.Context(), alice, w.org, d.ID)
	must(t, err)
	if j := w.run(d, controlplane.JobStartIssuance); j.Waits != 1 ||
		j.RunAt.Sub(w.clock.Now()) != 8*time.Second {
		t.Errorf("requested job = %+v, want the first pause", j)
	}
	w.ca.reject(map[string]verdict{"primary": verdictOf(controlplane.VerdictInternal)})
	wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobQueued, "retry", 1)
	w.ca.answer(nil)
	if j := w.runDue(d, controlplane.JobStartIssuance); j.Waits != 1 || j.Attempts != 1 {
		t.Errorf("job after a failure = %+v, want the first pause and one failure", j)
	}
	fail = false
	wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 1)
}
