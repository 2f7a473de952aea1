package lifecycle_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// deadLettered runs the domain's newest job of the type until it is dead-lettered.
func (w *world) deadLettered(
	d *controlplane.Domain, kind controlplane.JobType,
) *controlplane.Job {
	w.t.Helper()
	id := w.job(d, kind).ID
	for range controlplane.MaxAttempts {
		w.runDue(d, kind)
	}
	j, err := w.Store.Job(w.t.Context(), w.org, id)
	must(w.t, err)
	wantJob(w.t, j, controlplane.JobFailed, "dead-lettered", controlplane.MaxAttempts)
	return j
}

// After a dead-lettered issuance, another job follows: after an hour, then after twice as long each
// time up to a day, for 30 days. The domain shows when.
func TestIssuanceFollowsADeadLetter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	w.ca.rejectAll(refuses(controlplane.VerdictAccount))
	var waits []time.Duration
	var first time.Time
	for round := range 40 {
		j := w.deadLettered(d, controlplane.JobStartIssuance)
		now := w.clock.Now()
		if round == 0 {
			first = now
		}
		got := w.domain(d)
		wantStatus(t, got, controlplane.DomainError, "ca-account")
		c := wantCondition(t, got, controlplane.CertificateReady, "false", "ca-account")
		next := w.job(d, controlplane.JobStartIssuance)
		if next.ID == j.ID {
			if c.NextCheckAt != nil || !strings.Contains(c.Message, "no retry is scheduled") {
				t.Errorf("condition after the last round = %+v, want no next check", c)
			}
			break
		}
		if c.NextCheckAt == nil || !c.NextCheckAt.Equal(next.RunAt) ||
			!strings.Contains(c.Message, "retried automatically at") {
			t.Errorf("condition = %+v, want the retry at %s", c, next.RunAt)
		}
		wantJob(t, next, controlplane.JobQueued, "follow-up", 0)
		if next.Round != round+1 || next.RoundSince == nil || !next.RoundSince.Equal(first) {
			t.Errorf("job = %+v, want round %d since %s", next, round+1, first)
		}
		waits = append(waits, next.RunAt.Sub(now))
	}
	hours := []time.Duration{1, 2, 4, 8, 16, 24, 24}
	for i, want := range hours {
		if i >= len(waits) || waits[i] != want*time.Hour {
			t.Fatalf("waits = %v, want them to start with %v hours", waits, hours)
		}
	}
	if total := w.clock.Now().Sub(first); total < 29*day || total > 30*day {
		t.Errorf("rounds ended after %s, want nearly 30 days", total)
	}
	if n := w.jobs(d, controlplane.JobStartIssuance); n != len(waits)+1 {
		t.Errorf("%d jobs, want %d", n, len(waits)+1)
	}
}

// A job that follows issues the certificate once the cause is gone.
func TestFollowUpIssues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	w.ca.rejectAll(refuses(controlplane.VerdictAccount))
	w.deadLettered(d, controlplane.JobStartIssuance)
	w.ca.answer(nil)
	wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 0)
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
}

// No job follows if only the customer can fix the cause.
func TestNoFollowUpForTheCustomersCause(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		say     map[string]verdict
		follows bool
		code    string
	}{
		"failed challenge": {map[string]verdict{"primary": refuses(controlplane.VerdictDNS),
			"backup": refuses(controlplane.VerdictDNS)}, false, "ca-dns"},
		"request": {map[string]verdict{"primary": refuses(controlplane.VerdictRequest),
			"backup": refuses(controlplane.VerdictRequest)}, false, "ca-request"},
		"CAA and request": {map[string]verdict{"primary": refuses(controlplane.VerdictCAAForbids),
			"backup": refuses(controlplane.VerdictRequest)}, false, "ca-caa-forbids"},
		"account and failed challenge": {map[string]verdict{
			"primary": refuses(controlplane.VerdictAccount),
			"backup":  refuses(controlplane.VerdictDNS)}, true, "ca-dns"},
		"orders lost": {map[string]verdict{"primary": refuses(controlplane.VerdictOrderGone),
			"backup": refuses(controlplane.VerdictOrderGone)}, true, "orders-exhausted"},
		"our fault": {map[string]verdict{"primary": verdictOf(controlplane.VerdictInternal)}, true,
			"ca-internal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.issuing("example.com")
			w.ca.reject(tt.say)
			j := w.deadLettered(d, controlplane.JobStartIssuance)
			if j.LastErrorCode != tt.code {
				t.Errorf("last error = %s, want %s", j.LastErrorCode, tt.code)
			}
			next := w.job(d, controlplane.JobStartIssuance)
			c := w.domain(d).Condition(controlplane.CertificateReady)
			if (next.ID != j.ID) != tt.follows || (c.NextCheckAt != nil) != tt.follows {
				t.Errorf("a job follows = %v, next check %v, want %v", next.ID != j.ID,
					c.NextCheckAt, tt.follows)
			}
		})
	}
}

// While a job that follows is scheduled, a retry, a request, and a verified check each start the
// work now, with one open job.
func TestFollowUpStartsOnRequest(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]func(
		w *world, d *controlplane.Domain, dead *controlplane.Job,
	) (*controlplane.Job, bool, error){
		"retry": func(w *world, _ *controlplane.Domain, dead *controlplane.Job) (
			*controlplane.Job, bool, error) {
			j, started, err := w.RestartJob(w.t.Context(), alice, w.org, dead.ID)
			if err == nil && (j.ID != dead.ID || j.Attempts != 0 || j.Round != 0) {
				w.t.Errorf("RestartJob = %+v, want the job %s without attempts", j, dead.ID)
			}
			return j, started, err
		},
		"issue": func(w *world, d *controlplane.Domain, _ *controlplane.Job) (*controlplane.Job,
			bool, error) {
			return w.RequestIssue(w.t.Context(), alice, w.org, d.ID)
		},
		"verify": func(w *world, d *controlplane.Domain, _ *controlplane.Job) (*controlplane.Job,
			bool, error) {
			_, started, err := w.RequestCheck(w.t.Context(), alice, w.org, d.ID)
			w.run(d, controlplane.JobDNSCheck)
			wantStatus(w.t, w.domain(d), controlplane.DomainIssuing, "")
			return w.job(d, controlplane.JobStartIssuance), started, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.issuing("example.com", func(o *controlplane.Options) { o.AutoIssue = true })
			w.ca.rejectAll(refuses(controlplane.VerdictAccount))
			dead := w.deadLettered(d, controlplane.JobStartIssuance)
			w.clock.add(time.Minute)
			j, started, err := request(w, d, dead)
			if err != nil || !started || j.RunAt.After(w.clock.Now()) ||
				j.Queue != controlplane.QueueCritical {
				t.Fatalf("request = %+v, %v, %v, want a job that is due now", j, started, err)
			}
			if name == "retry" {
				if j, started, err := w.RestartJob(t.Context(), alice, w.org,
					dead.ID); err != nil || started {
					t.Errorf("second RestartJob = %+v, %v, %v, want false", j, started, err)
				}
			}
			if n := value[int](w,
				`SELECT count(*) FROM jobs WHERE slot = 'certificate' AND status = 'queued'`); n != 1 {
				t.Errorf("%d jobs are open, want 1", n)
			}
			w.ca.answer(nil)
			must(t, w.RunJob(t.Context(), j.ID, j.Generation))
			wantStatus(t, w.domain(d), controlplane.DomainActive, "")
		})
	}
}

// A retry of a dead-lettered job does not remove a job that follows it and has started.
func TestRetryExpeditesAStartedFollowUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.issuing("example.com")
	w.ca.rejectAll(refuses(controlplane.VerdictAccount))
	dead := w.deadLettered(d, controlplane.JobStartIssuance)
	w.ca.rejectAll(verdictOf(controlplane.VerdictUnreachable))
	next := w.runDue(d, controlplane.JobStartIssuance)
	wantJob(t, next, controlplane.JobQueued, "ca-unreachable", 0)
	j, started, err := w.RestartJob(t.Context(), alice, w.org, dead.ID)
	if err != nil || !started || j.ID != next.ID || j.RunAt.After(w.clock.Now()) {
		t.Errorf("RestartJob = %+v, %v, %v, want the job %s, due now", j, started, err, next.ID)
	}
	must(t, w.DeleteDomain(t.Context(), alice, w.org, d.ID, 0))
	if n := value[int](w, `SELECT count(*) FROM jobs`); n != 0 {
		t.Errorf("%d jobs are left after the deletion, want 0", n)
	}
}

// A dead-lettered request for a certificate is followed even if auto_issue is off. A renewal with
// auto_renew off is not, and neither is a revocation.
func TestFollowUpOfRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com", func(o *controlplane.Options) { o.AutoIssue = false })
	w.run(d, controlplane.JobDNSCheck)
	_, _, err := w.RequestIssue(t.Context(), alice, w.org, d.ID)
	must(t, err)
	w.ca.rejectAll(refuses(controlplane.VerdictAccount))
	dead := w.deadLettered(d, controlplane.JobStartIssuance)
	if next := w.job(d, controlplane.JobStartIssuance); next.ID == dead.ID {
		t.Error("no job follows the requested issuance")
	}
	w.ca.answer(nil)
	other := w.active("other.example.com",
		func(o *controlplane.Options) { o.AutoRenew = false })
	_, _, err = w.RequestRenew(t.Context(), alice, w.org, other.ID)
	must(t, err)
	w.ca.rejectAll(refuses(controlplane.VerdictAccount))
	dead = w.deadLettered(other, controlplane.JobRenewal)
	c := wantCondition(t, w.domain(other), controlplane.RenewalOnTrack, "false", "ca-account")
	if next := w.job(other, controlplane.JobRenewal); next.ID != dead.ID || c.NextCheckAt != nil {
		t.Errorf("job = %+v, next check %v, want none", next, c.NextCheckAt)
	}
}

// The CA's renewal window does not shorten the pause after a failed renewal.
func TestRenewalWindowDoesNotShortenAPause(t *testing.T) {
	t.Parallel()
	w, ca := newAdvised(t)
	d := w.active("example.com")
	w.clock.add(10 * day)
	ca.window(w.clock.Now().Add(-2*time.Hour), w.clock.Now().Add(-time.Hour), time.Minute)
	sweep := func() {
		t.Helper()
		w.exec(`UPDATE domains SET ari_check_at = $1`, w.clock.Now())
		if _, err := w.CheckRenewals(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sweep()
	v := refuses(controlplane.VerdictRequest)
	v.RetryAt = w.clock.Now().Add(time.Minute)
	w.ca.rejectAll(v)
	orders := len(w.ca.runs())
	w.deadLettered(d, controlplane.JobRenewal)
	failed := w.clock.Now()
	for range 20 {
		w.clock.add(time.Hour)
		sweep()
	}
	if n := w.jobs(d, controlplane.JobRenewal); n != 1 {
		t.Errorf("%d renewals, want the failed one alone", n)
	}
	if n := len(w.ca.runs()) - orders; n != 2*controlplane.MaxAttempts {
		t.Errorf("%d orders at %q, want %d", n, w.ca.runs(), 2*controlplane.MaxAttempts)
	}
	w.clock.set(failed.Add(day))
	sweep()
	w.ca.answer(nil)
	wantJob(t, w.runDue(d, controlplane.JobRenewal), controlplane.JobSucceeded, "", 0)
	if got := w.domain(d); got.RetryAt != nil || !slices.Contains(w.events(d.ID),
		controlplane.ActionRenewalFailed) {
		t.Errorf("domain = %+v, want no pause after a renewal", got)
	}
}
