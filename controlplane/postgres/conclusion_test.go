package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func conclusionOf(c *postgres.Claim, reason string) postgres.Conclusion {
	dom := *c.Domain
	dom.StatusReason = controlplane.Reason(reason)
	_, _, entry := newDomain(dom.OrgID, dom.Name)
	entry.Action, entry.EntityID = controlplane.ActionDNSVerified, dom.ID
	return postgres.Conclusion{Domain: &dom, Entries: []controlplane.AuditEntry{entry},
		Outcome: postgres.Completed(map[string]any{"by": reason})}
}

func TestConcurrentConclusionsAreAllWritten(t *testing.T) {
	t.Parallel()
	d := open(t)
	const n = 40
	claims := make([]*postgres.Claim, n)
	for i := range claims {
		_, j := d.add(d.org, fmt.Sprintf("a%d.example.com", i))
		claims[i] = d.claim(j, fmt.Sprint("w", i))
	}
	atOnce(n, func(i int) {
		k := conclusionOf(claims[i], fmt.Sprint("by", i))
		switch i % 4 {
		case 1:
			k.Entries, k.Outcome = nil, postgres.Deferred(start.Add(time.Hour), "cname-missing")
		case 2:
			k.Entries, k.Outcome = nil, postgres.Abandoned("delegation-timeout", "It is not there.")
		}
		if ended, err := d.Conclude(t.Context(), claims[i], k, start); err != nil || !ended {
			t.Errorf("Conclude of job %d = %v, %v, want true", i, ended, err)
		}
	})
	for i, c := range claims {
		dom, err := d.Domain(t.Context(), d.org, c.Domain.ID)
		d.must(err)
		if string(dom.StatusReason) != fmt.Sprint("by", i) || dom.Version != c.Domain.Version+1 {
			t.Errorf("domain %d is %+v, want the reason by%d and version %d", i, dom, i,
				c.Domain.Version+1)
		}
		j, log := d.job(d.org, c.Job.ID),
			value[int](d,
				`SELECT count(*) FROM audit_logs WHERE action = 'domain.dns_verified' AND entity_id = $1`, dom.ID)
		switch i % 4 {
		case 1:
			if j.Status != controlplane.JobQueued || j.Reason != "cname-missing" ||
				!j.RunAt.Equal(start.Add(time.Hour)) || j.Generation != 2 || log != 0 {
				t.Errorf("%d: %+v, %d entries", i, j, log)
			}
		case 2:
			if j.Status != controlplane.JobFailed || j.LastErrorCode != "delegation-timeout" ||
				log != 0 {
				t.Errorf("%d: %+v, %d entries", i, j, log)
			}
		default:
			if j.Status != controlplane.JobSucceeded || j.Result["by"] != fmt.Sprint("by", i) ||
				log != 1 {
				t.Errorf("%d: %+v, %d entries", i, j, log)
			}
		}
	}
	if n := value[int](d,
		`SELECT (SELECT count(*) FROM jobs WHERE claimed_by <> '') + (SELECT count(*) FROM domains WHERE claimed_by <> '')`); n != 0 {
		t.Errorf("%d rows are still held", n)
	}
}

func TestConcludeAfterChangeWritesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		sql  string // a concurrent change of the domain $1
	}{
		{"the domain was changed", `UPDATE domains SET version = version + 1 WHERE id = $1`},
		{"another job holds the domain",
			`UPDATE domains SET claimed_by = 'job_other' WHERE id = $1`},
		{"another worker holds the job",
			`UPDATE jobs SET claimed_by = 'other' WHERE domain_id = $1`},
		{"the job was requeued", `UPDATE jobs SET status = 'queued' WHERE domain_id = $1`},
		{"the domain was deleted", `DELETE FROM domains WHERE id = $1`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			dom, j := d.add(d.org, "example.com")
			c := d.claim(j, "w")
			d.exec(tt.sql, dom.ID)
			if ended, err := d.Conclude(t.Context(), c, conclusionOf(c, "late"),
				start); err != nil || ended {
				t.Errorf("Conclude = %v, %v, want false", ended, err)
			}
			if n := value[int](d,
				`SELECT (SELECT count(*) FROM domains WHERE status_reason = 'late') + (SELECT count(*) FROM jobs WHERE status = 'succeeded')
				+ (SELECT count(*) FROM audit_logs WHERE action = 'domain.dns_verified')`); n != 0 {
				t.Errorf("%d rows were written", n)
			}
		})
	}
}

// A locked domain blocks neither its own worker nor other workers.
func TestConcludeSkipsLockedDomain(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "locked.example.com")
	_, free := d.add(d.org, "free.example.com")
	locked, other := d.claim(j, "w1"), d.claim(free, "w2")
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		if _, err := tx.LockDomain(t.Context(), d.org, dom.ID); err != nil {
			return err
		}
		if ended, err := d.Conclude(t.Context(), locked, conclusionOf(locked, "x"),
			start); err != nil || ended {
			t.Errorf("the domain is locked: %v, %v", ended, err)
		}
		if ended, err := d.Conclude(t.Context(), other, conclusionOf(other, "x"),
			start); err != nil || !ended {
			t.Errorf("another domain: %v, %v", ended, err)
		}
		return nil
	}))
	if ended, err := d.Conclude(t.Context(), locked, conclusionOf(locked, "x"),
		start); err != nil || !ended {
		t.Errorf("after the lock: %v, %v", ended, err)
	}
}

// A conclusion does not wait for a locked delegation, and leaves it to the next check.
func TestConcludeSkipsALockedDelegation(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	c := d.claim(j, "w")
	k := conclusionOf(c, "x")
	k.Checks = []controlplane.NameExamination{{Name: dom.Name,
		Examination: controlplane.Examination{
			Delegation: controlplane.Diagnosis{Code: controlplane.CauseOK, CheckedAt: start}}}}
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		if _, err := tx.LockDelegation(t.Context(), d.org, dom.Name); err != nil {
			return err
		}
		ended, err := d.Conclude(t.Context(), c, k, start)
		if err == nil && !ended {
			t.Error("Conclude = false, want true")
		}
		return err
	}))
	g, err := d.Delegation(t.Context(), d.org, dom.Name, nil)
	d.must(err)
	if g.State != controlplane.DelegationUnchecked {
		t.Errorf("state = %s, want it unchanged", g.State)
	}
}

// A conclusion that cannot be written fails alone, and not the others of its group.
func TestFailedConclusionDoesNotFailItsGroup(t *testing.T) {
	t.Parallel()
	d := open(t)
	const n = 24
	claims := make([]*postgres.Claim, n)
	for i := range claims {
		_, j := d.add(d.org, fmt.Sprintf("a%d.example.com", i))
		claims[i] = d.claim(j, fmt.Sprint("w", i))
	}
	atOnce(n, func(i int) {
		k := conclusionOf(claims[i], "fine")
		if i%8 == 0 {
			k.Domain.Status = "no status" // violates a constraint
		}
		ended, err := d.Conclude(t.Context(), claims[i], k, start)
		if bad := i%8 == 0; bad && (err == nil || ended) || !bad && (err != nil || !ended) {
			t.Errorf("Conclude of job %d = %v, %v, want true, or an error for each eighth", i,
				ended, err)
		}
	})
	if n := value[int](d, `SELECT count(*) FROM jobs WHERE status = 'succeeded'`); n != 21 {
		t.Errorf("%d jobs succeeded, want 21", n)
	}
}
