package lifecycle_test

import (
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func TestRequestCheckExpeditesTheCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.doctor.finds(controlplane.CauseCNAMEMissing)
	d := w.add("example.com")
	waiting := w.run(d, controlplane.JobDNSCheck)
	j, started, err := w.RequestCheck(t.Context(), alice, w.org, "example.com")
	if err != nil || !started || j.ID != waiting.ID || !j.RunAt.Equal(w.clock.Now()) ||
		j.Generation != waiting.Generation+1 || j.Queue != controlplane.QueueCritical {
		t.Errorf("RequestCheck = %+v, %v, %v, want the waiting job, expedited", j, started, err)
	}
	if e := w.last(d.ID); e.Action != controlplane.ActionCheckRequested || e.Actor != alice ||
		e.Details["job_id"] != j.ID {
		t.Errorf("last entry = %+v, want domain.check_requested by alice for job %s", e, j.ID)
	}
	if again, started, err := w.RequestCheck(t.Context(), alice, w.org, d.ID); err != nil ||
		started || again.ID != j.ID {
		t.Errorf("second RequestCheck = %+v, %v, %v, want the same job, not started", again,
			started, err)
	}
	if n := w.count(d.ID, controlplane.ActionCheckRequested); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	_, _, err = w.RequestCheck(t.Context(), alice, w.organization(1), d.ID)
	wantError(t, "another organization", err, controlplane.KindNotFound, "not-found")
}

// Concurrent requests start one job.
func TestConcurrentRequestsStartOneJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	w.clock.add(time.Hour)
	var mu sync.Mutex
	started, ids := 0, map[string]bool{}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			ask := w.RequestIssue
			if i%2 == 0 {
				ask = w.RequestRenew
			}
			j, ok, err := ask(t.Context(), alice, w.org, d.ID)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[j.ID] = true
			if ok {
				started++
			}
		})
	}
	wg.Wait()
	if started != 1 || len(ids) != 1 {
		t.Errorf("%d calls started %d jobs, want 1 of each", started, len(ids))
	}
}

func TestRequestIssueAndRenewOnAnActiveDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.active("example.com")
	first := d.CertificateID
	w.clock.add(time.Hour)
	if j, started, err := w.RequestRenew(t.Context(), alice, w.org, d.ID); err != nil || !started ||
		j.Type != controlplane.JobRenewal || j.Queue != controlplane.QueueCritical {
		t.Fatalf("RequestRenew = %+v, %v, %v, want a new critical renewal", j, started, err)
	}
	if j, err := w.try(d, controlplane.JobRenewal); err != nil ||
		j.Status != controlplane.JobSucceeded {
		t.Fatalf("renewal = %+v, %v, want success", j, err)
	}
	d = w.domain(d)
	if d.CertificateID == first {
		t.Error("the domain has no new certificate")
	}
	if old, err := w.Store.Certificate(t.Context(), w.org, first); err != nil ||
		old.ReplacedBy != d.CertificateID {
		t.Errorf("previous certificate = %+v, %v, want it replaced by %s", old, err,
			d.CertificateID)
	}
	if o := w.ca.order(1); o.Replaces != "ari-of-"+w.ca.order(0).ID {
		t.Errorf("order replaces %q, want the previous certificate", o.Replaces)
	}
	if n := w.count(d.ID, controlplane.ActionRenewed); n != 1 {
		t.Errorf("%d renewals in the log, want 1", n)
	}
}

func TestRequestRenewNeedsACertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	_, _, err := w.RequestRenew(t.Context(), alice, w.org, d.ID)
	if e := wantError(t, "without a certificate", err, controlplane.KindConflict,
		"no-certificate"); e.ExistingID != d.ID {
		t.Errorf("RequestRenew without a certificate: existing ID = %q, want %q", e.ExistingID,
			d.ID)
	}
}

func TestRestartJobIsIdempotent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	w.run(d, controlplane.JobDNSCheck)
	w.ca.rejectAll(verdictOf(controlplane.VerdictRequest))
	for range controlplane.MaxAttempts {
		w.runDue(d, controlplane.JobStartIssuance)
	}
	dead := w.job(d, controlplane.JobStartIssuance)
	wantJob(t, dead, controlplane.JobFailed, "dead-lettered", 4)
	w.clock.add(time.Hour)
	started := 0
	for range 3 {
		j, ok, err := w.RestartJob(t.Context(), alice, w.org, dead.ID)
		if err != nil || j.ID != dead.ID {
			t.Fatalf("RestartJob = %+v, %v, want job %s", j, err, dead.ID)
		}
		if ok {
			started++
		}
	}
	if n := w.count(dead.ID, controlplane.ActionJobRetried); started != 1 || n != 1 {
		t.Errorf("restarted %d times with %d entries, want 1 of each", started, n)
	}
	if got := w.domain(d); !got.CheckSince.Equal(w.clock.Now()) || got.CheckAttempts != 0 {
		t.Errorf("checks since %s, want now", got.CheckSince)
	}
	w.ca.answer(nil)
	if j, err := w.try(d, controlplane.JobStartIssuance); err != nil ||
		j.Status != controlplane.JobSucceeded || j.Attempts != 0 || j.DeadLetteredAt != nil {
		t.Errorf("restarted job = %+v, %v, want success without failures", j, err)
	}
	wantStatus(t, w.domain(d), controlplane.DomainActive, "")
	_, _, err := w.RestartJob(t.Context(), alice, w.org, dead.ID)
	if e := wantError(t, "successful job", err, controlplane.KindConflict,
		"job-succeeded"); e.ExistingID != dead.ID {
		t.Errorf("RestartJob of a successful job: existing ID = %q, want %q", e.ExistingID, dead.ID)
	}
	_, _, err = w.RestartJob(t.Context(), alice, w.organization(1), dead.ID)
	wantError(t, "another organization", err, controlplane.KindNotFound, "not-found")
}

func TestRestartJobReturnsAnotherOpenJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	w.run(d, controlplane.JobDNSCheck)
	w.ca.rejectAll(verdictOf(controlplane.VerdictRequest))
	for range controlplane.MaxAttempts {
		w.runDue(d, controlplane.JobStartIssuance)
	}
	dead := w.job(d, controlplane.JobStartIssuance)
	w.clock.add(time.Hour)
	other, started, err := w.RequestIssue(t.Context(), alice, w.org, d.ID)
	if err != nil || !started || other.ID == dead.ID {
		t.Fatalf("RequestIssue = %+v, %v, %v, want a new job", other, started, err)
	}
	if j, started, err := w.RestartJob(t.Context(), alice, w.org, dead.ID); err != nil || started ||
		j.ID != other.ID {
		t.Errorf("RestartJob beside an open job = %+v, %v, %v, want job %s, not started", j,
			started, err, other.ID)
	}
}

func TestRestartOfAFailedCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	w.doctor.fails(controlplane.Internal(nil))
	for range controlplane.MaxAttempts {
		w.runDue(d, controlplane.JobDNSCheck)
	}
	wantStatus(t, w.domain(d), controlplane.DomainError, "internal")
	w.doctor.fails(nil)
	j, started, err := w.RestartJob(t.Context(), alice, w.org,
		w.job(d, controlplane.JobDNSCheck).ID)
	if err != nil || !started {
		t.Fatalf("RestartJob = %+v, %v, %v, want it started", j, started, err)
	}
	wantStatus(t, w.domain(d), controlplane.DomainPendingCNAME, "cname-unchecked")
	w.run(d, controlplane.JobDNSCheck)
	wantStatus(t, w.domain(d), controlplane.DomainIssuing, "")
}

func TestRequestsReturnTheRunningJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.add("example.com")
	j := w.job(d, controlplane.JobDNSCheck)
	c, err := w.Store.ClaimJob(t.Context(), j.ID, j.Generation, "w", time.Minute, start)
	must(t, err)
	if got, started, err := w.RequestCheck(t.Context(), alice, w.org, d.ID); err != nil ||
		started || got.ID != j.ID || got.Status != controlplane.JobRunning {
		t.Errorf("RequestCheck during a check = %+v, %v, %v, want the running job %s", got, started,
			err, j.ID)
	}
	must(t, w.Store.InTx(t.Context(),
		func(tx *postgres.Tx) error { return tx.CompleteJob(t.Context(), c, start, nil) }))
	if got, started, err := w.RequestCheck(t.Context(), alice, w.org, d.ID); err != nil ||
		!started || got.ID == j.ID {
		t.Errorf("RequestCheck after the check = %+v, %v, %v, want a new job", got, started, err)
	}
}
