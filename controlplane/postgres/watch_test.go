package postgres_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// drain empties the channel of what the start of listening may have sent.
func drain(ch <-chan struct{}) {
	select {
	case <-ch:
	default:
	}
}

// listening waits until the store's listener is connected and returns its process ID.
func (d *db) listening(channel string) int {
	d.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(
		10 * time.Millisecond) {
		if pid := value[int](d,
			`SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%' || $1 || '%' AND state = 'idle'`, channel); pid != 0 {
			return pid
		}
	}
	d.t.Fatal("nobody listens")
	return 0
}

func TestWatchWakesOnChangeAndDeletion(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	other, _ := d.add(d.org, "other.example.com")
	domain, stopDomain := d.Watch(dom.ID)
	defer stopDomain()
	again, stopAgain := d.Watch(dom.ID)
	job, stopJob := d.Watch(j.ID)
	defer stopJob()
	strangers, stopStrangers := d.Watch(other.ID)
	defer stopStrangers()
	for _, ch := range []<-chan struct{}{domain, again, job, strangers} {
		soon(t, "the first look", ch) // when the listener has connected
	}

	d.must(d.SaveDomain(t.Context(), dom, start))
	soon(t, "the domain's change", domain)
	soon(t, "the domain's change, for a second watcher", again)
	stopAgain()
	stopAgain()
	c := d.claim(j, "w")
	soon(t, "the job's start", job)
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.CompleteJob(t.Context(), c,
			start, nil)
	}))
	soon(t, "the job's end", job)
	d.must(d.DeleteDomain(t.Context(), d.org, dom.ID))
	soon(t, "the domain's deletion", domain)
	select {
	case <-strangers:
		t.Error("the watcher of another domain was woken")
	case <-again:
		t.Error("a watcher was woken after its stop")
	default:
	}
	// Heartbeats and dispatches are not changes that a person waits for.
	d.must(d.SaveDomain(t.Context(), other, start))
	soon(t, "the other domain's change", strangers)
}

func TestWatchWakesOnlyForCommittedChanges(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	moved, stop := d.Watch(dom.ID)
	defer stop()
	soon(t, "the first look", moved)
	conn := d.conn()
	tx, err := conn.Begin(t.Context())
	d.must(err)
	_, err = tx.Exec(t.Context(), `UPDATE domains SET version = version + 1`)
	d.must(err)
	d.must(tx.Rollback(t.Context()))
	other, stopOther := d.Watch("dom_marker")
	defer stopOther()
	d.exec(`SELECT pg_notify('dcvaas_moved', 'dom_marker')`)
	soon(t, "the marker", other)
	select {
	case <-moved:
		t.Error("woken for what did not happen")
	default:
	}
}

// After the listener has lost its connection, all callers are woken: notifications may be missed.
func TestWatchSurvivesALostConnection(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	moved, stop := d.Watch(dom.ID)
	defer stop()
	queued, stopJobs := d.WatchJobs()
	defer stopJobs()
	soon(t, "the first look", moved)
	pid := d.listening("dcvaas_moved")
	drain(moved)
	drain(queued)
	d.exec(`SELECT pg_terminate_backend($1)`, pid)
	soon(t, "the look after the loss", moved)
	soon(t, "the look for jobs after the loss", queued)
	for end := time.Now().Add(20 * time.Second); d.listening("dcvaas_moved") == pid; {
		if time.Now().After(end) {
			t.Fatal("the old listener is still there")
		}
	}
	drain(moved)
	d.must(d.SaveDomain(t.Context(), dom, start))
	soon(t, "a change afterwards", moved)
}

func TestWatchJobsWakesForDispatchableJobs(t *testing.T) {
	t.Parallel()
	d := open(t)
	queued, stop := d.WatchJobs()
	defer stop()
	soon(t, "the first look", queued)
	dom, j := d.add(d.org, "example.com")
	soon(t, "a new job", queued)
	if n, err := d.DispatchDue(t.Context(), start, room(10), nothing); n != 1 || err != nil {
		t.Fatalf("DispatchDue = %d, %v, want 1", n, err)
	}
	c := d.claim(j, "w")
	marker, stopMarker := d.Watch(j.ID)
	defer stopMarker()
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.FailJob(t.Context(), c, start, start.Add(time.Hour), "x", "y", nil)
	}))
	soon(t, "the job's failure", marker)
	select {
	case <-queued:
		t.Error("woken for a job that the queue has")
	default:
	}
	if _, ok, err := d.ExpediteJob(t.Context(), d.org, j.ID, start); !ok || err != nil {
		t.Fatalf("ExpediteJob = %v, %v, want true", ok, err)
	}
	soon(t, "a job that comes sooner", queued)
	d.newJobOf(dom, controlplane.JobStartIssuance)
	soon(t, "another new job", queued)
}

func TestWatchAfterCloseIsHarmless(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, stop := d.Watch("dom_x")
	d.Close()
	stop()
	_, stop = d.Watch("dom_y")
	stop()
	_, stop = d.WatchJobs()
	stop()
	fresh := d.replica()
	fresh.Close() // before any call to Watch
	_, stop = fresh.Watch("dom_z")
	stop()
}
