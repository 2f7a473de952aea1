package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// waits returns the codes for which the log says that the job was put off, oldest first.
func (w *world) waits(j *controlplane.Job) []string {
	w.t.Helper()
	entries, err := w.Store.AuditOfEntity(w.t.Context(), w.org, j.ID, 1000)
	must(w.t, err)
	var out []string
	for _, e := range slices.Backward(entries) {
		if e.Action == controlplane.ActionJobWaiting {
			out = append(out, e.Details["code"].(string))
		}
	}
	return out
}

// A wait is in the domain's history from when it begins, and again when its reason changes; not
// for each look at whether it is over.
func TestAWaitIsToldOnce(t *testing.T) {
	t.Parallel()
	w, g := newGoverned(t)
	d := w.issuing("example.com")
	limits := map[string]time.Duration{"primary": 2 * time.Hour, "backup": time.Hour}
	g.set(func(g *governor) { g.waits = limits })
	j := w.run(d, controlplane.JobStartIssuance)
	e := w.last(j.ID)
	if e.Action != controlplane.ActionJobWaiting || e.DomainID() != d.ID || e.Actor.Type != controlplane.ActorSystem || e.Details["type"] != "start_issuance" ||
		e.Details["code"] != "ca-quota" || e.Details["ca"] != "backup" || e.Details["detail"] == "" || e.Details["run_at"] != j.RunAt.Format(time.RFC3339Nano) {
		t.Errorf("%+v", e)
	}
	want := []string{"ca-quota"}
	step := func(what, told string) {
		t.Helper()
		j := w.runDue(d, controlplane.JobStartIssuance)
		if told != "" {
			want = append(want, told)
		}
		if got := w.waits(j); j.Status != controlplane.JobQueued || !slices.Equal(got, want) {
			t.Errorf("%s: %q was told, want %q; the job is %s (%s)", what, got, want, j.Status, j.Reason)
		}
	}
	step("the limits still stand", "")
	step("and still", "")
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	step("the CNAME is gone", controlplane.CauseCNAMEMissing)
	step("and still", "")
	w.doctor.finds(controlplane.CauseNameserversDisagree)
	step("resolvers say something else", "")
	w.doctor.finds("")
	step("the limits again", "ca-quota")
	g.set(func(g *governor) { g.waits = nil })
	v := says(controlplane.VerdictRejected)
	v.Over = true
	w.ca.refuse(map[string]verdict{"primary": v, "backup": v})
	step("a failure", "")
	g.set(func(g *governor) { g.waits = limits })
	step("the limits after a failure", "ca-quota")
	g.set(func(g *governor) { g.waits = nil })
	w.ca.answer(nil)
	wantJob(t, w.runDue(d, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", 1)
}

// To look for a record for days is no news.
func TestAChecksWaitIsNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	for range 3 {
		w.runDue(d, controlplane.JobDNSCheck)
	}
	if got := w.waits(w.job(d, controlplane.JobDNSCheck)); got != nil {
		t.Errorf("%q", got)
	}
}

// A CA that wants to be asked again in an hour is told of, whether the order failed or not.
func TestACAsWordIsToldAsAWait(t *testing.T) {
	t.Parallel()
	for class, reason := range map[controlplane.VerdictClass]controlplane.Reason{controlplane.VerdictRateLimited: "ca-rate-limited", controlplane.VerdictUnreachable: "retry", controlplane.VerdictRejected: "retry"} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.issuing("example.com")
			v := says(class)
			v.RetryAt = start.Add(time.Hour)
			w.ca.refuse(map[string]verdict{"primary": v, "backup": v})
			j := w.run(d, controlplane.JobStartIssuance)
			if j.Status != controlplane.JobQueued || j.Reason != reason || !j.RunAt.Equal(v.RetryAt) {
				t.Fatalf("%+v", j)
			}
			if e := w.last(j.ID); e.Action != controlplane.ActionJobWaiting || e.Details["code"] != v.Code || !slices.Contains(w.ca.names, e.Details["ca"].(string)) || e.Details["run_at"] != "2026-03-01T13:00:00Z" {
				t.Errorf("%+v", e)
			}
			again := w.domain(d)
			w.ca.answer(nil)
			wantJob(t, w.runDue(again, controlplane.JobStartIssuance), controlplane.JobSucceeded, "", j.Attempts)
			if got := w.waits(j); len(got) != 1 {
				t.Errorf("%q", got)
			}
		})
	}
}
