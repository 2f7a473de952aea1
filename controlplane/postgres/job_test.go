package postgres_test

import (
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func TestDomainHasOneOpenJobPerSlot(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, check := d.add(d.org, "example.com")
	if j, added, err := d.AddJob(t.Context(), newJob(dom, controlplane.JobDNSCheck)); added ||
		err != nil || j.ID != check.ID {
		t.Errorf("AddJob = %+v, %v, %v, want the open job %s and false", j, added, err, check.ID)
	}
	issue := d.newJobOf(dom, controlplane.JobStartIssuance)
	if j, added, err := d.AddJob(t.Context(), newJob(dom, controlplane.JobRenewal)); added ||
		err != nil || j.ID != issue.ID {
		t.Errorf("a renewal beside an issuance: %+v, %v, %v", j, added, err)
	}
	d.finish(issue)
	var added count
	atOnce(12, func(int) {
		if _, ok, err := d.AddJob(t.Context(), newJob(dom, controlplane.JobRenewal)); err != nil {
			t.Error(err)
		} else if ok {
			added.Add(1)
		}
	})
	if added.Load() != 1 {
		t.Errorf("%d jobs were added at once", added.Load())
	}
	d.must(d.DeleteDomain(t.Context(), d.org, dom.ID))
	_, _, err := d.AddJob(t.Context(), newJob(dom, controlplane.JobDNSCheck))
	wantKind(t, "for a domain that is gone", err, controlplane.KindNotFound)
}

func TestExpediteJob(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, j := d.add(d.org, "example.com")
	d.exec(`UPDATE jobs SET run_at = $1, dispatched_at = now(), queue = 'bulk', attempts = 2`,
		start.Add(time.Hour))
	var expedited count
	atOnce(10, func(int) {
		if _, ok, err := d.ExpediteJob(t.Context(), d.org, j.ID, start); err != nil {
			t.Error(err)
		} else if ok {
			expedited.Add(1)
		}
	})
	if expedited.Load() != 1 {
		t.Errorf("%d of 10 calls expedited the job", expedited.Load())
	}
	got := d.job(d.org, j.ID)
	if !got.RunAt.Equal(start) || got.Queue != controlplane.QueueCritical || got.Generation != 2 ||
		got.DispatchedAt != nil || got.Attempts != 2 {
		t.Errorf("after ExpediteJob the job is %+v, want critical at generation 2, due at %s", got,
			start)
	}
	d.claim(got, "w")
	if j, ok, err := d.ExpediteJob(t.Context(), d.org, j.ID, start.Add(-time.Hour)); ok ||
		err != nil || j.Status != controlplane.JobRunning {
		t.Errorf("a job that runs: %+v, %v, %v", j, ok, err)
	}
}

func TestRestartJobConcurrentlyRestartsOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, j := d.add(d.org, "example.com")
	for range 4 {
		c := d.claim(d.job(d.org, j.ID), "w")
		d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
			return tx.FailJob(t.Context(), c,
				start, start, "code", "detail", nil)
		}))
	}
	c := d.claim(d.job(d.org, j.ID), "w")
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.DeadLetterJob(t.Context(), c,
			start, "code", "detail", nil)
	}))
	later := start.Add(time.Hour)
	replica := d.replica()
	var restarted count
	atOnce(20, func(i int) {
		err := []*postgres.Store{d.Store, replica}[i%2].InTx(t.Context(),
			func(tx *postgres.Tx) error {
				got, ok, err := tx.RestartJob(t.Context(), d.org, j.ID, later)
				if ok {
					restarted.Add(1)
				}
				if err == nil && got.ID != j.ID {
					t.Errorf("another job: %+v", got)
				}
				return err
			})
		if err != nil {
			t.Error(err)
		}
	})
	if restarted.Load() != 1 {
		t.Errorf("20 calls restarted the job %d times", restarted.Load())
	}
	got := d.job(d.org, j.ID)
	if got.Status != controlplane.JobQueued || got.Attempts != 0 || got.Generation != 2 ||
		got.DeadLetteredAt != nil || got.DispatchedAt != nil || !got.RunAt.Equal(later) ||
		got.Queue != controlplane.QueueCritical || got.Reason != "" || got.LastErrorCode != "code" {
		t.Errorf("after RestartJob the job is %+v, want queued and critical at generation 2 without attempts, due at %s", got, later)
	}
}

func TestRestartJobBesideAnOpenJob(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	dead := d.newJobOf(dom, controlplane.JobStartIssuance)
	c := d.claim(dead, "w")
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.DeadLetterJob(t.Context(), c,
			start, "code", "detail", nil)
	}))
	open := d.newJobOf(dom, controlplane.JobRenewal)
	restart := func(id string) (j *controlplane.Job, ok bool) {
		d.must(d.InTx(t.Context(), func(tx *postgres.Tx) (err error) {
			j, ok, err = tx.RestartJob(t.Context(), d.org, id, start)
			return err
		}))
		return j, ok
	}
	if j, ok := restart(dead.ID); ok || j.ID != open.ID {
		t.Errorf("RestartJob beside an open job = %+v, %v, want %s and false", j, ok, open.ID)
	}
	if j, ok := restart(open.ID); ok || j.ID != open.ID {
		t.Errorf("a job that is queued: %+v, %v", j, ok)
	}
	d.finish(open)
	if j, ok := restart(open.ID); ok || j.Status != controlplane.JobSucceeded {
		t.Errorf("a job that succeeded: %+v, %v", j, ok)
	}
	if j, ok := restart(dead.ID); !ok || j.ID != dead.ID {
		t.Errorf("with nothing in its way: %+v, %v", j, ok)
	}
}
