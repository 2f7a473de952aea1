package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// logged appends an entry that is age old to an organization's log.
func (d *db) logged(org string, age time.Duration) {
	d.t.Helper()
	d.must(d.Audit(d.t.Context(),
		controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent), OrgID: org,
			Actor:  controlplane.System("test"),
			Action: "domain.updated", CreatedAt: time.Now().Add(-age)}))
}

func (d *db) tierOrg(tier controlplane.Tier) string {
	d.t.Helper()
	o := &controlplane.Organization{ID: controlplane.NewID(controlplane.PrefixOrganization),
		Name: string(tier), Tier: tier, CreatedAt: start}
	d.must(d.AddOrganization(d.t.Context(), o))
	return o.ID
}

// Each tier's log is kept for its retention period, and that of a deleted organization for the
// longest one.
func TestRetention(t *testing.T) {
	t.Parallel()
	d := open(t)
	orgs := map[string]time.Duration{"org_gone": controlplane.TierAgency.LogKept()}
	for _, tier := range []controlplane.Tier{controlplane.TierFree, controlplane.TierPro,
		controlplane.TierAgency} {
		orgs[d.tierOrg(tier)] = tier.LogKept()
	}
	for org, kept := range orgs {
		for range 3 {
			d.logged(org, kept+time.Minute)
		}
		d.logged(org, kept-time.Minute)
		d.logged(org, 0)
	}
	// Entries must be old enough both at now and by the database's clock.
	for _, now := range []time.Time{time.Now().Add(-10 * time.Minute), start} {
		n, _, err := d.RemoveOldLog(t.Context(), now, 100)
		if d.must(err); n != 0 {
			t.Errorf("RemoveOldLog(%v) = %d, want 0", now, n)
		}
	}
	removed := 0
	for {
		n, more, err := d.RemoveOldLog(t.Context(), time.Now().Add(24*time.Hour), 5)
		d.must(err)
		if removed += n; !more {
			break
		}
	}
	if removed != 12 {
		t.Errorf("RemoveOldLog removed %d entries, want 12", removed)
	}
	for org := range orgs {
		if n := value[int](d, `SELECT count(*) FROM audit_logs WHERE org_id = $1`, org); n != 2 {
			t.Errorf("%s has %d entries, want 2", org, n)
		}
	}
}

// The removal visits only the organizations whose oldest entry is due, however many there are, and
// again when the tier changes.
func TestRetentionVisitsWhatIsDue(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO organizations (id, name) SELECT 'org_' || i, 'n' FROM generate_series(1, 3000) i`)
	pro := d.tierOrg(controlplane.TierPro)
	d.logged(pro, controlplane.TierFree.LogKept()+time.Hour)
	d.logged(pro, controlplane.TierPro.LogKept()-time.Hour)
	remove := func(want, calls int) {
		t.Helper()
		removed := 0
		for more := true; more; calls-- {
			n, again, err := d.RemoveOldLog(t.Context(), time.Now(), 100)
			d.must(err)
			removed, more = removed+n, again
		}
		if removed != want || calls != 0 {
			t.Errorf("RemoveOldLog removed %d entries, with %d calls left, want %d and 0", removed,
				calls, want)
		}
	}
	remove(0, 7) // each organization once
	remove(0, 1)
	d.exec(`VACUUM ANALYZE organizations`)
	plan, err := d.ExplainDueLogs(t.Context(), time.Now())
	d.must(err)
	if n := blocks(plan); n > 5 {
		t.Errorf("the search for due organizations touches %d blocks, want at most 5:\n%s", n, plan)
	}
	due := value[time.Time](d, `SELECT log_due_at FROM organizations WHERE id = $1`, pro)
	if in := time.Until(due); in < 50*time.Minute || in > time.Hour {
		t.Errorf("the pro organization is due in %s, want in an hour", in)
	}
	d.exec(`UPDATE organizations SET subscription_tier = 'free' WHERE id = $1`, pro)
	remove(2, 1)
	d.exec(`UPDATE organizations SET log_due_at = now() WHERE id = $1`, pro)
	d.logged(pro, controlplane.TierFree.LogKept()+time.Hour)
	if err := d.InTx(t.Context(), func(tx *postgres.Tx) error {
		if _, err := tx.LockOrganization(t.Context(), pro); err != nil {
			return err
		}
		remove(1, 1) // does not wait for the organization
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	d.logged(pro, controlplane.TierFree.LogKept()+time.Hour)
	remove(1, 1) // it has remained due
}

// The database rejects every other change of the log, even in the transaction of the retention and
// with its setting.
func TestRetentionPermitsNothingElse(t *testing.T) {
	t.Parallel()
	d := open(t)
	free := d.tierOrg(controlplane.TierFree)
	d.logged(free, controlplane.TierFree.LogKept()-time.Minute)
	d.logged(free, controlplane.TierFree.LogKept()+time.Minute)
	pro := d.tierOrg(controlplane.TierPro)
	d.logged(pro, controlplane.TierFree.LogKept()+time.Minute)
	d.logged("org_gone", controlplane.TierPro.LogKept()+time.Minute)
	const declare = `SET LOCAL dcvaas.retention = 'on'; `
	for _, sql := range []string{
		declare + `DELETE FROM audit_logs`,
		declare + `DELETE FROM audit_logs WHERE org_id = '` + pro + `'`,
		declare + `DELETE FROM audit_logs WHERE org_id = 'org_gone'`,
		declare + `UPDATE audit_logs SET created_at = created_at - interval '10 years'`,
		declare + `UPDATE audit_logs SET action = 'nothing.happened' WHERE org_id = '` + free + `'`,
		declare + `TRUNCATE audit_logs`,
		declare + `MERGE INTO audit_logs a USING (SELECT 1) AS x ON true WHEN MATCHED THEN DELETE`,
		`DELETE FROM audit_logs WHERE created_at < now() - interval '90 days' AND org_id = '` +
			free + `'`,
		`SET LOCAL dcvaas.retention = 'off'; DELETE FROM audit_logs WHERE created_at < now() - interval '90 days' AND org_id = '` + free + `'`,
	} {
		if err := d.try(sql); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s = %v, want an error that says append-only", sql, err)
		}
	}
	if n := value[int](d, `SELECT count(*) FROM audit_logs`); n != 4 {
		t.Errorf("%d entries are left of 4", n)
	}
	d.exec(declare +
		`DELETE FROM audit_logs WHERE created_at < now() - interval '90 days' AND org_id = '` +
		free + `'`)
	if n := value[int](d, `SELECT count(*) FROM audit_logs WHERE org_id = $1`, free); n != 1 {
		t.Errorf("%d entries are left of one that is young", n)
	}
}
