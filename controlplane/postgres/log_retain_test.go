package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
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
		n, err := d.RemoveOldLog(t.Context(), now, 100)
		if d.must(err); n != 0 {
			t.Errorf("RemoveOldLog(%v) = %d, want 0", now, n)
		}
	}
	removed := 0
	for {
		n, err := d.RemoveOldLog(t.Context(), time.Now().Add(24*time.Hour), 5)
		d.must(err)
		if removed += n; n < 5 {
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
