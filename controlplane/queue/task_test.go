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

func TestTaskHoldsOnlyIDs(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		q := w.queue()
		for attempts, retries := range map[int]int{0: 3, 1: 2, 2: 1, 3: 0, 9: 0} {
			j := &controlplane.Job{ID: controlplane.NewID(controlplane.PrefixJob),
				Type: controlplane.JobRenewal, Queue: controlplane.QueueBulk, Generation: 7,
				Attempts: attempts, OrgID: w.org}
			must(t, q.enqueue(t.Context(), []controlplane.Job{*j}))
			// again, as after a crash in between
			must(t, q.enqueue(t.Context(), []controlplane.Job{*j}))
			info := w.task(q, j)
			if info == nil || info.ID != j.ID+":7" || info.MaxRetry != retries ||
				info.Queue != "bulk" || info.Type != "renewal" || info.Timeout != taskTimeout {
				t.Errorf("task after %d failures = %+v, want ID %s:7 and %d retries", attempts,
					info, j.ID, retries)
			}
			if want := fmt.Sprintf(`{"job":%q,"generation":7,"org":%q}`, j.ID,
				w.org); info != nil && string(info.Payload) != want {
				t.Errorf("payload %s, want %s", info.Payload, want)
			}
		}
	})
}

func TestReadTaskRejectsUnknownPayloads(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "x", "{}", `{"job":""}`, `{"job":1}`, `[]`} {
		if _, err := readTask(asynq.NewTask("x", []byte(body))); !errors.Is(err, asynq.SkipRetry) {
			t.Errorf("readTask(%q): error = %v, want asynq.SkipRetry", body, err)
		}
	}
	if p, err := readTask(asynq.NewTask("x",
		[]byte(`{"job":"job_x","generation":3}`))); err != nil || p != (payload{"job_x", 3, ""}) {
		t.Errorf("readTask without an organization = %+v, %v, want job_x at generation 3", p, err)
	}
}

// Asynq counts the failures that lifecycle counted, and no others.
func TestIsFailure(t *testing.T) {
	t.Parallel()
	unavailable := &controlplane.Error{Code: "database-unavailable"}
	later := &lifecycle.RetryLater{After: 42 * time.Second, Err: unavailable}
	q := &Queue{Config: Config{Rand: func() float64 { return 0.9 }}}
	for name, tt := range map[string]struct {
		err    error
		counts bool
		after  time.Duration // about
	}{
		"failure":              {later, true, 42 * time.Second},
		"wrapped":              {fmt.Errorf("x: %w", later), true, 42 * time.Second},
		"last failure":         {&lifecycle.DeadLettered{Err: unavailable}, true, unavailablePause},
		"malformed task":       {asynq.SkipRetry, true, unavailablePause},
		"database unavailable": {unavailable, false, unavailablePause},
		"other error":          {io.EOF, false, unavailablePause},
		"context canceled":     {context.Canceled, false, unavailablePause},
		"lost connection":      {fmt.Errorf("x: %w", io.ErrUnexpectedEOF), false, unavailablePause},
	} {
		if got := isFailure(tt.err); got != tt.counts {
			t.Errorf("isFailure(%s) = %v, want %v", name, got, tt.counts)
		}
		if got := q.retryDelay(1, tt.err, nil); got < tt.after*8/10 || got > tt.after*12/10 {
			t.Errorf("retryDelay(%s) = %s, want about %s", name, got, tt.after)
		}
	}
}

func TestMetricsCountOutcomes(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	m := newMetrics(r)
	for outcome, err := range map[string]error{"ok": nil,
		"failed": &lifecycle.RetryLater{Err: io.EOF}, "dead": &lifecycle.DeadLettered{Err: io.EOF},
		"away": io.EOF} {
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
			t.Errorf("no counter of outcome %q is 1", outcome)
		}
	}
	newMetrics(nil) // without a registry
}

// Retries follow the failure count of the row, even if Redis loses its data in between: after four
// failures the task is archived and the job is dead-lettered.
func TestRetriesFollowTheRowAfterALostRedis(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		w.ca.refuse(true)
		w.ca.patient = 2
		q := w.queue()
		stop := w.run(q)
		d := w.add("example.com")
		w.eventually("two failures",
			func() bool {
				j := w.job(d, controlplane.JobStartIssuance)
				return j != nil &&
					j.Attempts == 2
			})
		stop()
		failed := w.job(d, controlplane.JobStartIssuance)
		must(t, w.redis.Flush(t.Context()))
		next := w.queue()
		must(t, next.checkEpoch(t.Context()))
		w.exec(`UPDATE jobs SET run_at = now() - interval '1 second', cas = '{}'`)
		j := w.dispatched(next, d, controlplane.JobStartIssuance)
		if info := w.task(next, j); j.Generation <= failed.Generation || info == nil ||
			info.MaxRetry != controlplane.MaxAttempts-1-j.Attempts {
			t.Errorf("generation = %d after %d with %d failures and the task %+v, want a later one with the retries left", j.Generation, failed.Generation, j.Attempts, info)
		}
		w.run(next)
		w.waitDomain(d, controlplane.DomainError)
		dead := w.job(d, controlplane.JobStartIssuance)
		if dead.Attempts != 4 || dead.DeadLetteredAt == nil || w.ca.count() != 4 {
			t.Errorf("job = %+v after %d orders, want dead-lettered after 4", dead, w.ca.count())
		}
		w.eventually("the task to be archived",
			func() bool {
				i := w.task(next, dead)
				return i != nil &&
					i.State == asynq.TaskStateArchived
			})
	})
}

// The row decides: a task that Asynq would retry is archived at once if the job is dead-lettered.
func TestDeadLetteredIsArchivedAtOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		w.ca.refuse(true)
		q := w.queue()
		must(t, q.checkEpoch(t.Context())) // otherwise the first reconcile redispatches everything
		d := w.add("example.com")
		check := w.dispatched(q, d, controlplane.JobDNSCheck)
		must(t, w.RunJob(t.Context(), check.ID, check.Generation))
		j := w.dispatched(q, d, controlplane.JobStartIssuance)
		w.exec(`UPDATE jobs SET attempts = 3 WHERE id = $1`, j.ID)
		if info := w.task(q, j); info.MaxRetry != 3 {
			t.Fatalf("task = %+v, want 3 retries", info)
		}
		w.run(q)
		w.waitDomain(d, controlplane.DomainError)
		w.eventually("the task to be archived", func() bool {
			i := w.task(q, j)
			return i != nil &&
				i.State == asynq.TaskStateArchived
		})
		if info := w.task(q, j); info.Retried != 0 || w.ca.count() != 1 {
			t.Errorf("task = %+v after %d orders, want no retry and 1 order", info, w.ca.count())
		}
		// After a restart the job has another task beside the archived one.
		w.ca.refuse(false)
		if _, started, err := w.RestartJob(t.Context(), controlplane.System("test"), w.org,
			j.ID); err != nil || !started {
			t.Fatalf("RestartJob(%s) = %v, %v, want true", j.ID, started, err)
		}
		w.waitDomain(d, controlplane.DomainActive)
	})
}
