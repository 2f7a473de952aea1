package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// waits returns the logged reasons for which the job was deferred, oldest first.
func (w *world) waits(j *controlplane.Job) []string {
	w.t.Helper()
	var out []string
	for _, e := range w.entries(w.org, j.ID) {
		if e.Action == controlplane.ActionJobWaiting {
			out = append(out, e.Details["code"].(string))
		}
	}
	return out
}

// A wait is logged when it starts and when its reason changes, and not for each retry.
func TestWaitIsLoggedOnce(t *testing.T) {
	t.Parallel()
	w, g := newGoverned(t)
	d := w.issuing("example.com")
	limits := map[string]time.Duration{"primary": 2 * time.Hour, "backup": time.Hour}
	g.set(func(g *governor) { g.waits = limits })
	j := w.run(d, controlplane.JobStartIssuance)
	e := w.last(j.ID)
	if e.Action != controlplane.ActionJobWaiting || e.DomainID() != d.ID ||
		e.Actor.Type != controlplane.ActorSystem || e.Details["type"] != "start_issuance" ||
		e.Details["code"] != "ca-quota" || e.Details["ca"] != "backup" ||
		e.Details["detail"] == "" || e.Details["run_at"] != j.RunAt.Format(time.RFC3339Nano) {
		t.Errorf("last entry = %+v, want job.waiting for ca-quota at backup until %s", e, j.RunAt)
	}
	want := []string{"ca-quota"}
	step := func(name, logged string) {
		t.Helper()
		j := w.runDue(d, controlplane.JobStartIssuance)
		if logged != "" {
			want = append(want, logged)
		}
		if got := w.waits(j); j.Status != controlplane.JobQueued || !slices.Equal(got, want) {
			t.Errorf("%s: logged waits = %q, want %q; the job is %s (%s)", name, got, want,
				j.Status, j.Reason)
		}
	}
	step("limits unchanged", "")
	step("unchanged", "")
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	step("CNAME missing", controlplane.CauseCNAMEMissing)
	step("unchanged", "")
	w.doctor.finds(controlplane.CauseNameserversDisagree)
	step("another cause in DNS", "")
	w.doctor.finds("")
	step("limits again", "ca-quota")
	g.set(func(g *governor) { g.waits = nil })
	v := verdictOf(controlplane.VerdictRequest)
	v.Over = true
	w.ca.reject(map[string]verdict{"primary": v, "backup": v})
	step("failure", "")
	g.set(func(g *governor) { g.waits = limits })
	step("limits after a failure", "ca-quota")
	g.set(func(g *governor) { g.waits = nil })
	w.ca.answer(nil)
	wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 1)
}

// The waits of a DNS check are not logged.
func TestCheckWaitsAreNotLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	for range 3 {
		w.runDue(d, controlplane.JobDNSCheck)
	}
	if got := w.waits(w.job(d, controlplane.JobDNSCheck)); got != nil {
		t.Errorf("logged waits of a check = %q, want none", got)
	}
}

// A CA's request to retry in an hour is logged as a wait, even if the order failed.
func TestRetryTimeOfACAIsLogged(t *testing.T) {
	t.Parallel()
	for class, reason := range map[controlplane.VerdictClass]controlplane.Reason{
		controlplane.VerdictRateLimited: "ca-rate-limited",
		controlplane.VerdictUnreachable: "ca-unreachable", controlplane.VerdictRequest: "retry"} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.issuing("example.com")
			v := verdictOf(class)
			v.RetryAt = start.Add(time.Hour)
			w.ca.reject(map[string]verdict{"primary": v, "backup": v})
			j := w.run(d, controlplane.JobStartIssuance)
			if j.Status != controlplane.JobQueued || j.Reason != reason ||
				!j.RunAt.Equal(v.RetryAt) {
				t.Fatalf("job = %+v, want it queued with the reason %s until %s", j, reason,
					v.RetryAt)
			}
			if e := w.last(j.ID); e.Action != controlplane.ActionJobWaiting ||
				e.Details["code"] != v.Code ||
				!slices.Contains(w.ca.names, e.Details["ca"].(string)) ||
				e.Details["run_at"] != "2026-03-01T13:00:00Z" {
				t.Errorf("last entry = %+v, want job.waiting with the code %s, the CA, and the time", e, v.Code)
			}
			again := w.domain(d)
			w.ca.answer(nil)
			wantJob(t, w.runDue(again, controlplane.JobStartIssuance), controlplane.JobSucceeded,
				"", j.Attempts)
			if got := w.waits(j); len(got) != 1 {
				t.Errorf("logged waits = %q, want one", got)
			}
		})
	}
}
