package queue

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestNewRejectsIncompleteConfigs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	for name, c := range map[string]Config{
		"no store":     {Lifecycle: w.Service, RedisURL: "redis://localhost"},
		"no lifecycle": {Store: w.Store, RedisURL: "redis://localhost"},
		"invalid URL": {Store: w.Store, Lifecycle: w.Service,
			RedisURL: "redis://:hunter2@host:port"},
		"no URL": {Store: w.Store, Lifecycle: w.Service},
	} {
		if _, err := New(c); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("New(%s): error = %v, want one without the password", name, err)
		}
	}
	if _, err := MonitorOpt("redis://:hunter2@host:port"); err == nil ||
		strings.Contains(err.Error(), "hunter2") {
		t.Errorf("MonitorOpt(invalid URL): error = %v, want one without the password", err)
	}
	if _, err := MonitorOpt(w.redis.URL()); err != nil {
		t.Errorf("MonitorOpt(%s): %v", w.redis.URL(), err)
	}
}

// Two processes carry jobs from the row to the certificate, on either Redis.
func TestJobsAreDispatchedAndCompleted(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		w.run(w.queue())
		w.run(w.queue())
		var all []*controlplane.Domain
		for i := range 10 {
			all = append(all, w.add(fmt.Sprintf("d%d.example.com", i)))
		}
		for _, d := range all {
			w.waitDomain(d, controlplane.DomainActive)
		}
		if n := w.ca.count(); n != 10 {
			t.Errorf("%d orders for 10 domains, want 10", n)
		}
	})
}

// A worker that shuts down requeues its job, and another one resumes it at once.
func TestShutdownRequeuesJobs(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		blocked := w.ca.block()
		stop := w.run(w.queue())
		d := w.add("example.com")
		<-blocked
		stop()
		j := w.job(d, controlplane.JobStartIssuance)
		if j.Status != controlplane.JobQueued || j.Reason != "handed-back" || j.Generation < 2 ||
			j.DispatchedAt != nil || j.Attempts != 0 {
			t.Errorf("job after the shutdown = %+v, want one that is requeued and not dispatched",
				j)
		}
		w.run(w.queue())
		w.waitDomain(d, controlplane.DomainActive)
	})
}

// While Redis is unavailable jobs stay due, and they complete after it restarts without its data.
func TestRedisRestartsEmpty(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	port := w.port()
	w.run(w.queue())
	w.waitDomain(w.add("before.example.com"), controlplane.DomainActive)
	must(t, w.redis.Stop(t.Context()))
	d := w.add("meanwhile.example.com")
	w.eventually("the relay to fail once", func() bool { return w.queueFails(d) })
	w.startRedis(false, port)
	w.waitDomain(d, controlplane.DomainActive)
}

// queueFails reports whether the domain's first job is due and not dispatched.
func (w *world) queueFails(d *controlplane.Domain) bool {
	j := w.job(d, controlplane.JobDNSCheck)
	return j.DispatchedAt == nil && time.Since(j.RunAt) > 300*time.Millisecond
}

// The commit of a job notifies the relay.
func TestCommitWakesTheRelay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	q := w.queue()
	var wg sync.WaitGroup
	ctx := t.Context()
	wg.Go(func() { q.relay(ctx) })
	t.Cleanup(wg.Wait)
	for i := range 5 {
		d := w.add(fmt.Sprintf("d%d.example.com", i))
		w.eventually("its dispatch",
			func() bool { return w.job(d, controlplane.JobDNSCheck).DispatchedAt != nil })
		if w.task(q, w.job(d, controlplane.JobDNSCheck)) == nil {
			t.Error("the dispatched job has no task in Asynq")
		}
	}
}

// A job that is scheduled for later is dispatched when it is due.
func TestRelayDispatchesScheduledJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	q := w.queue()
	d := w.add("example.com")
	due := time.Now().Add(400 * time.Millisecond)
	w.exec(`UPDATE jobs SET run_at = $1`, due)
	var wg sync.WaitGroup
	ctx := t.Context()
	wg.Go(func() { q.relay(ctx) })
	t.Cleanup(wg.Wait)
	w.eventually("its dispatch",
		func() bool { return w.job(d, controlplane.JobDNSCheck).DispatchedAt != nil })
	if time.Now().Before(due) {
		t.Error("the job was dispatched before it was due")
	}
}

func TestUntil(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	q := &Queue{Config: Config{Now: func() time.Time { return now }}}
	if got := q.until(time.Time{}); got != relayIdle {
		t.Errorf("until(zero time) = %s, want %s", got, relayIdle)
	}
	for in, want := range map[time.Duration]time.Duration{-time.Hour: relayBusy, 0: relayBusy,
		time.Second: time.Second, time.Hour: relayIdle} {
		if got := q.until(now.Add(in)); got != want {
			t.Errorf("until(now + %s) = %s, want %s", in, got, want)
		}
	}
}
