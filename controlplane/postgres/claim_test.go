package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func TestOnlyTheLastGenerationCanBeClaimed(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, j := d.add(d.org, "example.com")
	for _, g := range []int{0, 2, -1} {
		if _, err := d.ClaimJob(t.Context(), j.ID, g, "w", time.Minute, start); !errors.Is(err,
			postgres.ErrStale) {
			t.Errorf("generation %d: %v", g, err)
		}
	}
	if _, err := d.ClaimJob(t.Context(), "job_none", 1, "w", time.Minute, start); !errors.Is(err,
		postgres.ErrStale) {
		t.Errorf("no such job: %v", err)
	}
	c := d.claim(j, "w")
	if c.Job.Status != controlplane.JobRunning || c.Job.Reason != "" || c.Worker != "w" {
		t.Errorf("ClaimJob returned the job %+v for worker %q, want it running, without a reason, for w", c.Job, c.Worker)
	}
	d.must(d.RequeueJob(t.Context(), c, start))
	if _, err := d.ClaimJob(t.Context(), j.ID, j.Generation, "w", time.Minute,
		start); !errors.Is(err, postgres.ErrStale) {
		t.Errorf("the generation that was requeued: %v", err)
	}
	again := d.claim(d.job(d.org, j.ID), "w2")
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.CompleteJob(t.Context(), again, start, map[string]any{"a": "b"})
	}))
	if j = d.job(d.org, j.ID); j.Status != controlplane.JobSucceeded || j.Result["a"] != "b" {
		t.Errorf("after CompleteJob the job is %+v, want succeeded with its result", j)
	}
	if _, err := d.ClaimJob(t.Context(), j.ID, j.Generation, "w", time.Minute,
		start); !errors.Is(err, postgres.ErrStale) {
		t.Errorf("a finished job: %v", err)
	}
}

func TestConcurrentClaimsHaveOneWinner(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, j := d.add(d.org, "example.com")
	stores := []*postgres.Store{d.Store, d.replica()}
	var won, stale count
	atOnce(16, func(i int) {
		_, err := stores[i%2].ClaimJob(t.Context(), j.ID, j.Generation, "w"+string(rune('a'+i)),
			time.Minute, start)
		switch {
		case err == nil:
			won.Add(1)
		case errors.Is(err, postgres.ErrStale):
			stale.Add(1)
		default:
			t.Error(err)
		}
	})
	if won.Load() != 1 || stale.Load() != 15 {
		t.Errorf("%d workers hold the job and %d got ErrStale, want 1 and 15", won.Load(),
			stale.Load())
	}
}

// A worker claims a job whose dispatch is committed a moment before or after its attempt.
func TestClaimsDuringDispatch(t *testing.T) {
	t.Parallel()
	d := open(t)
	for i := range 100 {
		_, j := d.add(d.org, fmt.Sprintf("n%d.example.com", i))
		claimed := make(chan error, 1)
		lanes := []postgres.Lane{{Queue: j.Queue, Room: 10}}
		n, err := d.DispatchDue(t.Context(), start.Add(time.Hour), lanes,
			func(jobs []controlplane.Job) error {
				for _, j := range jobs {
					go func() {
						_, err := d.ClaimJob(t.Context(), j.ID, j.Generation, "w", time.Minute, start)
						claimed <- err
					}()
				}
				time.Sleep(time.Duration(i) * 40 * time.Microsecond)
				return nil
			})
		if err != nil || n != 1 {
			t.Fatalf("DispatchDue() = %d, %v, want 1", n, err)
		}
		if err := <-claimed; err != nil {
			t.Errorf("commit after %d µs: ClaimJob() = %v, want the claim", 40*i, err)
		}
	}
}

func TestDomainIsHeldByOneJob(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, check := d.add(d.org, "example.com")
	issue := d.newJobOf(dom, controlplane.JobStartIssuance)
	held := d.claim(check, "w1")
	busy, err := d.ClaimJob(t.Context(), issue.ID, issue.Generation, "w2", time.Minute, start)
	if !errors.Is(err, postgres.ErrBusy) || busy == nil || busy.Job.ID != issue.ID ||
		busy.Job.Status != controlplane.JobQueued {
		t.Fatalf("ClaimJob = %+v, %v, want ErrBusy with the queued job %s", busy, err, issue.ID)
	}
	d.must(d.DeferBusyJob(t.Context(), busy.Job, start, start.Add(time.Second)))
	// of an earlier generation by now
	d.must(d.DeferBusyJob(t.Context(), busy.Job, start, start.Add(time.Hour)))
	if j := d.job(d.org, issue.ID); j.Status != controlplane.JobQueued ||
		j.Reason != "domain-busy" || !j.RunAt.Equal(start.Add(time.Second)) || j.Generation != 2 ||
		j.DispatchedAt != nil || j.Attempts != 0 {
		t.Errorf("after DeferBusyJob the job is %+v, want queued for domain-busy in a second, at generation 2", j)
	}
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.CompleteJob(t.Context(),
			held, start, nil)
	}))
	d.claim(d.job(d.org, issue.ID), "w2")
}

func TestExpiredLeaseCanBeClaimed(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, check := d.add(d.org, "example.com")
	issue := d.newJobOf(dom, controlplane.JobStartIssuance)
	first := d.claim(check, "w1")
	d.must(d.ExtendClaim(t.Context(), first))
	if _, err := d.ClaimJob(t.Context(), check.ID, check.Generation, "w2", time.Minute,
		start); !errors.Is(err, postgres.ErrStale) {
		t.Errorf("while the lease lasts: %v", err)
	}
	d.expire()
	second := d.claim(check, "w2")
	if err := d.ExtendClaim(t.Context(), first); !errors.Is(err, postgres.ErrClaimLost) {
		t.Errorf("the first worker's heartbeat: %v", err)
	}
	d.must(d.ExtendClaim(t.Context(), second))
	if _, err := d.ClaimJob(t.Context(), issue.ID, issue.Generation, "w3", time.Minute,
		start); !errors.Is(err, postgres.ErrBusy) {
		t.Errorf("another job on the domain after the heartbeat: %v", err)
	}
	d.expire()
	d.claim(issue, "w3")
	if err := d.ExtendClaim(t.Context(), second); !errors.Is(err, postgres.ErrClaimLost) {
		t.Errorf("a heartbeat for a domain that another job holds: %v", err)
	}
}

func TestExtendClaim(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, j := d.add(d.org, "example.com")
	c := d.claim(j, "w")
	d.expire()
	d.must(d.ExtendClaim(t.Context(), c)) // no other worker has claimed it
	if n := value[int](d, `SELECT count(*) FROM jobs j JOIN domains d ON d.claimed_by = j.id
		WHERE j.claimed_until BETWEEN now() + interval '50 seconds' AND now() + interval '70 seconds' AND d.claimed_until = j.claimed_until`); n != 1 {
		t.Error("job and domain do not have a lease of a minute")
	}
}

// A worker that has lost its job can no longer write.
func TestLostClaimWritesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	losses := map[string]func(d *db, c *postgres.Claim){
		"another worker claimed it": func(d *db,
			c *postgres.Claim) {
			d.expire()
			d.claim(c.Job, "other")
		},
		"it was requeued": func(d *db, _ *postgres.Claim) {
			d.expire()
			if n, err := d.RequeueLost(ctx, start, 10); n != 1 || err != nil {
				d.t.Fatalf("RequeueLost = %d, %v, want 1", n, err)
			}
		},
		"the domain was deleted": func(d *db,
			c *postgres.Claim) {
			d.must(d.DeleteDomain(ctx, d.org, c.Job.DomainID))
		},
		"the worker requeued it": func(d *db,
			c *postgres.Claim) {
			d.must(d.RequeueJob(ctx, c, start))
		},
	}
	inTx := func(d *db, fn func(tx *postgres.Tx) error) error { return d.InTx(ctx, fn) }
	writes := map[string]func(d *db, c *postgres.Claim, o *controlplane.Order) error{
		"ExtendClaim": func(d *db, c *postgres.Claim,
			_ *controlplane.Order) error {
			return d.ExtendClaim(ctx, c)
		},
		"HoldClaim": func(d *db, c *postgres.Claim, _ *controlplane.Order) error {
			return inTx(d, func(tx *postgres.Tx) error { return tx.HoldClaim(ctx, c) })
		},
		"CompleteJob": func(d *db, c *postgres.Claim, _ *controlplane.Order) error {
			return inTx(d, func(tx *postgres.Tx) error {
				return tx.CompleteJob(ctx, c, start,
					nil)
			})
		},
		"DeferJob": func(d *db, c *postgres.Claim, _ *controlplane.Order) error {
			return inTx(d, func(tx *postgres.Tx) error {
				return tx.DeferJob(ctx, c, start, start,
					"x")
			})
		},
		"AbandonJob": func(d *db, c *postgres.Claim, _ *controlplane.Order) error {
			return inTx(d, func(tx *postgres.Tx) error {
				return tx.AbandonJob(ctx, c, start, "x",
					"y")
			})
		},
		"FailJob": func(d *db, c *postgres.Claim, _ *controlplane.Order) error {
			return inTx(d, func(tx *postgres.Tx) error {
				return tx.FailJob(ctx, c, start, start,
					"x", "y", nil)
			})
		},
		"DeadLetterJob": func(d *db, c *postgres.Claim, _ *controlplane.Order) error {
			return inTx(d, func(tx *postgres.Tx) error {
				return tx.DeadLetterJob(ctx, c, start, "x",
					"y", nil)
			})
		},
		"RequeueJob": func(d *db, c *postgres.Claim,
			_ *controlplane.Order) error {
			return d.RequeueJob(ctx, c, start)
		},
		"SaveOrder": func(d *db, c *postgres.Claim, o *controlplane.Order) error {
			o.Step = controlplane.StepOrdered
			return d.SaveOrder(ctx, c, o, start)
		},
		"PublishChallenges": func(d *db, c *postgres.Claim, o *controlplane.Order) error {
			o.Values = txtAt(o, "v")
			return d.PublishChallenges(ctx, c, o, start.Add(time.Hour), start)
		},
	}
	for loss, lose := range losses {
		t.Run(loss, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			_, j := d.add(d.org, "example.com")
			c := d.claim(j, "w")
			o := d.order(c)
			lose(d, c)
			state := func() string {
				return value[string](d,
					`SELECT coalesce(string_agg(line, ' ' ORDER BY line), '') FROM (
					SELECT d::text AS line FROM domains d UNION ALL SELECT j::text FROM jobs j UNION ALL SELECT o::text FROM acme_orders o UNION ALL SELECT c::text FROM challenges c) x`)
			}
			before := state()
			for what, write := range writes {
				if err := write(d, c, o); !errors.Is(err, postgres.ErrClaimLost) {
					t.Errorf("%s = %v, want ErrClaimLost", what, err)
				}
			}
			if after := state(); after != before {
				t.Errorf("the rows have changed:\n%s\nwant\n%s", after, before)
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	later := start.Add(time.Hour)
	for what, tt := range map[string]struct {
		end   func(tx *postgres.Tx, c *postgres.Claim) error
		check func(j *controlplane.Job) bool
	}{
		"CompleteJob": {func(tx *postgres.Tx, c *postgres.Claim) error {
			return tx.CompleteJob(ctx, c, later, map[string]any{"k": "v"})
		}, func(j *controlplane.Job) bool {
			return j.Status == controlplane.JobSucceeded && j.Result["k"] == "v" &&
				j.Attempts == 0 && j.Reason == ""
		}},
		"DeferJob": {func(tx *postgres.Tx, c *postgres.Claim) error {
			return tx.DeferJob(ctx, c, later, later, "cname-missing")
		}, func(j *controlplane.Job) bool {
			return j.Status == controlplane.JobQueued && j.Reason == "cname-missing" &&
				j.WaitedFor == "cname-missing" && j.RunAt.Equal(later) && j.Generation == 2 &&
				j.DispatchedAt == nil && j.Attempts == 0
		}},
		"AbandonJob": {func(tx *postgres.Tx, c *postgres.Claim) error {
			return tx.AbandonJob(ctx, c, later, "delegation-timeout", "d")
		}, func(j *controlplane.Job) bool {
			return j.Status == controlplane.JobFailed && j.Reason == "delegation-timeout" &&
				j.LastErrorCode == "delegation-timeout" && j.LastError == "d" &&
				j.LastErrorACME == nil && j.DeadLetteredAt == nil && j.Attempts == 0
		}},
		"FailJob": {func(tx *postgres.Tx, c *postgres.Claim) error {
			return tx.FailJob(ctx, c, start, later, "code",
				"detail", json.RawMessage(`{"type": "caa"}`))
		}, func(j *controlplane.Job) bool {
			return j.Status == controlplane.JobQueued && j.Reason == "retry" && j.Attempts == 1 &&
				j.RunAt.Equal(later) && j.Generation == 1 && j.DispatchedAt != nil &&
				j.LastErrorCode == "code" && j.LastError == "detail" &&
				string(j.LastErrorACME) == `{"type": "caa"}`
		}},
		"DeadLetterJob": {func(tx *postgres.Tx, c *postgres.Claim) error {
			return tx.DeadLetterJob(ctx, c, later, "code", "detail", nil)
		}, func(j *controlplane.Job) bool {
			return j.Status == controlplane.JobFailed && j.Reason == "dead-lettered" &&
				j.Attempts == 1 && j.DeadLetteredAt != nil && j.DeadLetteredAt.Equal(later) &&
				j.LastErrorCode == "code" && j.LastErrorACME == nil
		}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			_, j := d.add(d.org, "example.com")
			if n, err := d.DispatchDue(ctx, start, room(10),
				func([]controlplane.Job) error { return nil }); n != 1 || err != nil {
				t.Fatalf("DispatchDue = %d, %v, want 1", n, err)
			}
			c := d.claim(j, "w")
			d.must(d.InTx(ctx, func(tx *postgres.Tx) error { return tt.end(tx, c) }))
			if j := d.job(d.org, j.ID); !tt.check(j) {
				t.Errorf("after %s the job is %+v", what, j)
			}
			if n := value[int](d,
				`SELECT (SELECT count(*) FROM jobs WHERE claimed_by <> '' OR claimed_until IS NOT NULL) + (SELECT count(*) FROM domains WHERE claimed_by <> '' OR claimed_until IS NOT NULL)`); n != 0 {
				t.Error("the claim was not released")
			}
		})
	}
}

// A worker's heartbeat, its last transaction, and a deletion of the domain run in any order without
// a deadlock.
func TestHeartbeatsDeletionsAndResultsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	for range 15 {
		_, j := d.add(d.org, "example.com")
		c := d.claim(j, "w")
		atOnce(4, func(i int) {
			var err error
			switch i {
			case 0, 1:
				for range 5 {
					err = errors.Join(err, d.ExtendClaim(ctx, c))
				}
			case 2:
				err = d.begin(c, newOrder(c))
			case 3:
				err = d.DeleteDomain(ctx, d.org, c.Job.DomainID)
			}
			if err != nil && (controlplane.HasCode(err, "database-unavailable") ||
				!errors.Is(err, postgres.ErrClaimLost) &&
					!controlplane.IsKind(err, controlplane.KindNotFound)) {
				t.Errorf("writer %d: %v, want nil, ErrClaimLost, or KindNotFound", i, err)
			}
		})
	}
}
