package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

func TestATaskHoldsIDsAlone(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		q := w.queue()
		for attempts, retries := range map[int]int{0: 3, 1: 2, 2: 1, 3: 0, 9: 0} {
			j := &controlplane.Job{ID: controlplane.NewID(controlplane.PrefixJob), Type: controlplane.JobRenewal, Queue: controlplane.QueueBulk, Generation: 7, Attempts: attempts, OrgID: w.org}
			must(t, q.enqueue(t.Context(), []controlplane.Job{*j}))
			must(t, q.enqueue(t.Context(), []controlplane.Job{*j})) // again, as after a crash in between
			info := w.task(q, j)
			if info == nil || info.ID != j.ID+":7" || info.MaxRetry != retries || info.Queue != "bulk" || info.Type != "renewal" || info.Timeout != taskTimeout {
				t.Errorf("after %d failures: %+v", attempts, info)
			}
			if want := fmt.Sprintf(`{"job":%q,"generation":7,"org":%q}`, j.ID, w.org); info != nil && string(info.Payload) != want {
				t.Errorf("payload %s, want %s", info.Payload, want)
			}
		}
	})
}

func TestReadTaskRefusesStrangers(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "x", "{}", `{"job":""}`, `{"job":1}`, `[]`} {
		if _, err := readTask(asynq.NewTask("x", []byte(body))); !errors.Is(err, asynq.SkipRetry) {
			t.Errorf("%q: %v", body, err)
		}
	}
	if p, err := readTask(asynq.NewTask("x", []byte(`{"job":"job_x","generation":3}`))); err != nil || p != (payload{"job_x", 3, ""}) {
		t.Errorf("%+v, %v", p, err)
	}
}

// Asynq counts what the row has counted, and nothing else.
func TestWhatCountsAsAFailure(t *testing.T) {
	t.Parallel()
	away := &controlplane.Error{Code: "database-unavailable"}
	later := &lifecycle.RetryLater{After: 42 * time.Second, Err: away}
	for what, tt := range map[string]struct {
		err    error
		counts bool
		after  time.Duration // about
	}{
		"a failure":       {later, true, 42 * time.Second},
		"wrapped":         {fmt.Errorf("x: %w", later), true, 42 * time.Second},
		"the last one":    {&lifecycle.DeadLettered{Err: away}, true, awayPause},
		"not ours":        {asynq.SkipRetry, true, awayPause},
		"database away":   {away, false, awayPause},
		"anything else":   {io.EOF, false, awayPause},
		"context's end":   {context.Canceled, false, awayPause},
		"lost connection": {fmt.Errorf("x: %w", io.ErrUnexpectedEOF), false, awayPause},
	} {
		if got := isFailure(tt.err); got != tt.counts {
			t.Errorf("%s: counts %v", what, got)
		}
		if got := retryDelay(1, tt.err, nil); got < tt.after*8/10 || got > tt.after*12/10 {
			t.Errorf("%s: after %s, want about %s", what, got, tt.after)
		}
	}
}

func TestMetricsTellOutcomesApart(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	m := newMetrics(r)
	for outcome, err := range map[string]error{"ok": nil, "failed": &lifecycle.RetryLater{Err: io.EOF}, "dead": &lifecycle.DeadLettered{Err: io.EOF}, "away": io.EOF} {
		m.ran("renewal", err, time.Second)
		families, gerr := r.Gather()
		must(t, gerr)
		found := false
		for _, f := range families {
			for _, metric := range f.GetMetric() {
				for _, l := range metric.GetLabel() {
					found = found || l.GetValue() == outcome && metric.GetCounter().GetValue() == 1
				}
			}
		}
		if !found {
			t.Errorf("%s is not counted", outcome)
		}
	}
	newMetrics(nil) // without a registry
}

// A failure retries by the row's count, also when Redis was lost in the middle: four in all,
// then the task is archived and the job is dead.
func TestRetriesStayInStepWithTheRowAfterALostRedis(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		w.ca.refuse(true)
		w.ca.patient = 2
		q := w.queue()
		stop := w.run(q)
		d := w.add("example.com")
		w.eventually("two failures", func() bool { j := w.job(d, controlplane.JobStartIssuance); return j != nil && j.Attempts == 2 })
		stop()
		failed := w.job(d, controlplane.JobStartIssuance)
		must(t, w.redis.Flush(t.Context()))
		next := w.queue()
		must(t, next.checkEpoch(t.Context()))
		w.exec(`UPDATE jobs SET run_at = now() - interval '1 second'`)
		j := w.dispatched(next, d, controlplane.JobStartIssuance)
		if info := w.task(next, j); j.Generation <= failed.Generation || info == nil || info.MaxRetry != controlplane.MaxAttempts-1-j.Attempts {
			t.Errorf("generation %d after %d, %d failures, %+v", j.Generation, failed.Generation, j.Attempts, info)
		}
		w.run(next)
		w.waitDomain(d, controlplane.DomainError)
		dead := w.job(d, controlplane.JobStartIssuance)
		if dead.Attempts != 4 || dead.DeadLetteredAt == nil || w.ca.count() != 4 {
			t.Errorf("%+v, and the CA was asked %d times", dead, w.ca.count())
		}
		w.eventually("the archive to have it", func() bool { i := w.task(next, dead); return i != nil && i.State == asynq.TaskStateArchived })
	})
}

// The row says the last word: a task that Asynq would retry is archived at once.
func TestDeadLetteredIsArchivedAtOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		w.ca.refuse(true)
		q := w.queue()
		must(t, q.checkEpoch(t.Context())) // else the first look has everything dispatched again
		d := w.add("example.com")
		check := w.dispatched(q, d, controlplane.JobDNSCheck)
		must(t, w.RunJob(t.Context(), check.ID, check.Generation))
		j := w.dispatched(q, d, controlplane.JobStartIssuance)
		w.exec(`UPDATE jobs SET attempts = 3 WHERE id = $1`, j.ID)
		if info := w.task(q, j); info.MaxRetry != 3 {
			t.Fatalf("%+v", info)
		}
		w.run(q)
		w.waitDomain(d, controlplane.DomainError)
		w.eventually("the archive to have it", func() bool { i := w.task(q, j); return i != nil && i.State == asynq.TaskStateArchived })
		if info := w.task(q, j); info.Retried != 0 || w.ca.count() != 1 {
			t.Errorf("%+v, and the CA was asked %d times", info, w.ca.count())
		}
		// Started afresh it has a task of its own beside the archived one.
		w.ca.refuse(false)
		if _, started, err := w.RestartJob(t.Context(), controlplane.System("test"), w.org, j.ID); err != nil || !started {
			t.Fatal(started, err)
		}
		w.waitDomain(d, controlplane.DomainActive)
	})
}
