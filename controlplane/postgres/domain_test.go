package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func TestAddDomainStoresDomainJobAndEntryTogether(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j, a := newDomain(d.org, "example.com")
	dom.Labels, dom.Profile, dom.CA, dom.Wildcard = map[string]string{"team": "a"}, "tlsserver",
		"primary", true
	dom.SetCondition(controlplane.Condition{Type: controlplane.DNSReady,
		Status: "unknown", Reason: "cname-unchecked", NextCheckAt: &start})
	if ok, err := d.AddDomain(t.Context(), dom, j, a); err != nil || !ok {
		t.Fatalf("AddDomain = %v, %v, want true", ok, err)
	}
	got, err := d.Domain(t.Context(), d.org, "example.com")
	d.must(err)
	if got.ID != dom.ID || got.Target != dom.Target || got.Labels["team"] != "a" ||
		got.Profile != "tlsserver" || got.CA != "primary" || !got.Wildcard ||
		got.Version != 1 || !got.CheckSince.Equal(start) ||
		got.Condition(controlplane.DNSReady).Reason != "cname-unchecked" {
		t.Errorf("Domain = %+v, want %+v", got, dom)
	}
	job := d.job(d.org, j.ID)
	if job.DomainID != dom.ID || job.Status != controlplane.JobQueued || job.Generation != 1 ||
		job.Attempts != 0 || !job.RunAt.Equal(start) || job.DispatchedAt != nil {
		t.Errorf("Job = %+v, want a queued job of %s, due at %s", job, dom.ID, start)
	}
	if n, err := d.DomainCount(t.Context(), d.org); err != nil || n != 1 {
		t.Errorf("%d domains counted, %v", n, err)
	}
}

func TestAddDomainTwiceReturnsTheFirstID(t *testing.T) {
	t.Parallel()
	d := open(t)
	first, _ := d.add(d.org, "example.com")
	dom, j, a := newDomain(d.org, "example.com")
	ok, err := d.AddDomain(t.Context(), dom, j, a)
	if e, is := errors.AsType[*controlplane.Error](err); ok || !is ||
		e.Kind != controlplane.KindConflict || e.Code != "domain-exists" ||
		e.ExistingID != first.ID {
		t.Errorf("AddDomain = %v, %+v, want domain-exists with the domain %s", ok, err, first.ID)
	}
	if n, _ := d.DomainCount(t.Context(), d.org); n != 1 {
		t.Errorf("%d domains counted", n)
	}
	if n := value[int](d, `SELECT count(*) FROM jobs`); n != 1 {
		t.Errorf("%d jobs", n)
	}
	other := d.organization(5)
	if dom, _ := d.add(other, "example.com"); dom.Target == first.Target {
		t.Error("two organizations share a target")
	}
}

// A name that many callers add at the same time is stored once, and the others get the stored
// domain.
func TestAddDomainConcurrentlyStoresANameOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	var added, told count
	atOnce(20, func(int) {
		dom, j, a := newDomain(d.org, "example.com")
		ok, err := d.AddDomain(t.Context(), dom, j, a)
		if e, is := errors.AsType[*controlplane.Error](err); is && e.Code == "domain-exists" &&
			e.ExistingID != "" {
			told.Add(1)
		} else if err != nil {
			t.Error(err)
		}
		if ok {
			added.Add(1)
		}
	})
	if added.Load() != 1 || told.Load() != 19 {
		t.Errorf("%d added and %d got domain-exists, want 1 and 19", added.Load(), told.Load())
	}
	if n, _ := d.DomainCount(t.Context(), d.org); n != 1 {
		t.Errorf("%d domains counted", n)
	}
}

// Fifty concurrent callers fill a plan up to its limit, and not beyond.
func TestPlanLimitHoldsUnderConcurrency(t *testing.T) {
	t.Parallel()
	d := open(t)
	org := d.organization(17)
	var added, refused count
	atOnce(50, func(i int) {
		dom, j, a := newDomain(org, fmt.Sprintf("d%d.example.com", i))
		switch ok, err := d.AddDomain(t.Context(), dom, j, a); {
		case err != nil:
			t.Error(err)
		case ok:
			added.Add(1)
		default:
			refused.Add(1)
		}
	})
	if added.Load() != 17 || refused.Load() != 33 {
		t.Errorf("%d added and %d rejected, want 17 and 33", added.Load(), refused.Load())
	}
	for _, sql := range []string{`SELECT count(*) FROM domains WHERE org_id = $1`,
		`SELECT count(*) FROM jobs WHERE org_id = $1`,
		`SELECT count(*) FROM audit_logs WHERE org_id = $1`,
		`SELECT domain_count FROM organizations WHERE id = $1`} {
		if n := value[int](d, sql, org); n != 17 {
			t.Errorf("%s = %d, want 17", sql, n)
		}
	}
}

// Adding to a locked organization waits, and does not block adding to another one.
func TestLockedOrganizationBlocksNoOther(t *testing.T) {
	t.Parallel()
	d := open(t)
	other := d.organization(10)
	added := make(chan error, 1)
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		if _, err := tx.LockDomains(t.Context(), d.org, nil); err != nil {
			return err
		}
		go func() {
			dom, j, a := newDomain(d.org, "example.com")
			ok, err := d.AddDomain(t.Context(), dom, j, a)
			if err == nil && !ok {
				err = errors.New("the limit is not reached")
			}
			added <- err
		}()
		for value[int](d,
			`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 0 {
			select {
			case err := <-added:
				return fmt.Errorf("AddDomain did not wait, but returned %w", err)
			case <-time.After(5 * time.Millisecond):
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		dom, j, a := newDomain(other, "example.com")
		_, err := d.AddDomain(ctx, dom, j, a)
		return err
	}))
	d.must(<-added)
}

func TestPlanLimitsOfTheTiers(t *testing.T) {
	t.Parallel()
	d := open(t)
	for tier, limit := range map[controlplane.Tier]int{controlplane.TierFree: 3,
		controlplane.TierPro: 15, controlplane.TierAgency: 50} {
		o := &controlplane.Organization{ID: controlplane.NewID(controlplane.PrefixOrganization),
			Name: "x", Tier: tier, CreatedAt: start}
		d.must(d.AddOrganization(t.Context(), o))
		for i := range limit {
			d.add(o.ID, fmt.Sprintf("d%d.example.com", i))
		}
		dom, j, a := newDomain(o.ID, "more.example.com")
		if ok, err := d.AddDomain(t.Context(), dom, j, a); ok || err != nil {
			t.Errorf("%s: more than %d: %v, %v", tier, limit, ok, err)
		}
	}
	dom, j, a := newDomain("org_none", "example.com")
	if ok, err := d.AddDomain(t.Context(), dom, j, a); ok || err != nil {
		t.Errorf("no such organization: %v, %v", ok, err)
	}
}

// Adding and deleting the same and different names concurrently neither deadlocks nor miscounts.
func TestDomainCountIsRightUnderAddsAndDeletes(t *testing.T) {
	t.Parallel()
	d := open(t)
	org := d.organization(30)
	atOnce(12, func(i int) {
		name := fmt.Sprintf("d%d.example.com", i%4)
		for range 15 {
			dom, j, a := newDomain(org, name)
			if _, err := d.AddDomain(t.Context(), dom, j, a); err != nil &&
				!controlplane.HasCode(err, "domain-exists") {
				t.Errorf("adding: %v", err)
			}
			err := d.InTx(t.Context(), func(tx *postgres.Tx) error {
				dom, err := tx.LockDomain(t.Context(), org, name)
				if err != nil {
					return err
				}
				return tx.DeleteDomain(t.Context(), org, dom.ID)
			})
			if err != nil && !controlplane.IsKind(err, controlplane.KindNotFound) {
				t.Errorf("deleting: %v", err)
			}
		}
	})
	counted, err := d.DomainCount(t.Context(), org)
	if stored := value[int](d, `SELECT count(*) FROM domains WHERE org_id = $1`, org); err != nil ||
		counted != stored {
		t.Errorf("%d counted, %d stored, %v", counted, stored, err)
	}
}

func TestDeleteDomainDeletesItsObjects(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	c := d.claim(j, "w")
	o := d.order(c)
	o.Values = txtAt(o, "v")
	d.must(d.PublishChallenges(t.Context(), c, o, start.Add(time.Hour), start))
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.AddCertificate(t.Context(),
			newCertificate(o), "")
	}))
	d.must(d.DeleteDomain(t.Context(), d.org, dom.ID))
	for _, table := range []string{"domains", "jobs", "acme_orders", "challenges", "certificates"} {
		if n := value[int](d, `SELECT count(*) FROM `+table); n != 0 {
			t.Errorf("%d rows of %s are left", n, table)
		}
	}
	wantKind(t, "deleting twice", d.DeleteDomain(t.Context(), d.org, dom.ID),
		controlplane.KindNotFound)
}

func TestSaveDomainRaisesTheVersion(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	later := start.Add(time.Hour)
	dom.Status, dom.StatusReason, dom.Labels = controlplane.DomainError,
		"delegation-timeout", map[string]string{"a": "b"}
	d.must(d.SaveDomain(t.Context(), dom, later))
	got, err := d.Domain(t.Context(), d.org, dom.ID)
	d.must(err)
	if got.Version != 2 || dom.Version != 2 || !got.UpdatedAt.Equal(later) ||
		!got.CreatedAt.Equal(start) || got.StatusReason != "delegation-timeout" ||
		got.Labels["a"] != "b" {
		t.Errorf("Domain = %+v, want version 2 with the new status and labels", got)
	}
	d.must(d.DeleteDomain(t.Context(), d.org, dom.ID))
	wantKind(t, "saving a deleted domain", d.SaveDomain(t.Context(), dom, later),
		controlplane.KindNotFound)
}

// A domain stays marked as queued by the sweep until its renewal time changes.
func TestSaveDomainKeepsTheSweepsMark(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	d.active(dom, start)
	queued := func() bool { return value[bool](d, `SELECT renewal_queued FROM domains`) }
	if n, err := d.QueueRenewals(t.Context(), start, 10, 0); n != 1 || err != nil || !queued() {
		t.Fatalf("QueueRenewals = %d, %v, want 1, with the domain marked", n, err)
	}
	d.must(d.SaveDomain(t.Context(), dom, start))
	if !queued() {
		t.Error("another change took the mark away")
	}
	next := start.Add(time.Hour)
	dom.RenewAt = &next
	d.must(d.SaveDomain(t.Context(), dom, start))
	if queued() {
		t.Error("the mark is still there with a new time of renewal")
	}
}

// Text that cannot be stored is an error of the caller.
func TestNULIsRejected(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	dom.PreferredChain = "a\x00b"
	wantKind(t, "in a text", d.SaveDomain(t.Context(), dom, start), controlplane.KindInvalid)
	dom.PreferredChain, dom.Labels = "", map[string]string{"k": "a\x00b"}
	wantKind(t, "in a label", d.SaveDomain(t.Context(), dom, start), controlplane.KindInvalid)
}

func TestLockDomainBlocksOthers(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	second := make(chan error, 1)
	locked := make(chan struct{})
	reached := sync.OnceFunc(func() { close(locked) }) // InTx may run its function again
	err := d.InTx(t.Context(), func(tx *postgres.Tx) error {
		if _, err := tx.LockDomain(t.Context(), d.org, dom.ID); err != nil {
			return err
		}
		go func() {
			second <- d.InTx(context.Background(), func(tx *postgres.Tx) error {
				reached()
				now, err := tx.LockDomain(context.Background(), d.org, dom.ID)
				if err == nil && now.Version != 2 {
					err = fmt.Errorf("version %d was read before the first had finished",
						now.Version)
				}
				return err
			})
		}()
		<-locked
		return tx.SaveDomain(t.Context(), dom, start)
	})
	d.must(err)
	d.must(soon(t, "the second lock", second))
}
