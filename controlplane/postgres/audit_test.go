package postgres_test

import (
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func TestAuditLogIsAppendOnly(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	for _, sql := range []string{
		`UPDATE audit_logs SET action = 'nothing.happened'`,
		`UPDATE audit_logs SET created_at = now() WHERE false OR seq > 0`,
		`DELETE FROM audit_logs`,
		`TRUNCATE audit_logs`,
		`TRUNCATE organizations, audit_logs CASCADE`,
		`INSERT INTO audit_logs (id, org_id, actor_type, action) SELECT id, org_id, 'system', 'x' FROM audit_logs ON CONFLICT (id) DO UPDATE SET action = 'x'`,
		`MERGE INTO audit_logs a USING (SELECT 1) AS x ON true WHEN MATCHED THEN DELETE`,
		`INSERT INTO audit_logs (id, seq, org_id, actor_type, action) VALUES ('evt_x', 1, 'o', 'system', 'x')`,
	} {
		if err := d.try(sql); err == nil {
			t.Errorf("accepted: %s", sql)
		} else if !strings.Contains(err.Error(), "append-only") &&
			!strings.Contains(err.Error(), "non-DEFAULT") {
			t.Errorf("%s = %v, want an error that says append-only or non-DEFAULT", sql, err)
		}
	}
	entries, _, err := d.ListLog(t.Context(), d.org,
		postgres.LogFilter{EntityID: dom.ID, Limit: 10})
	if err != nil || len(entries) != 1 || entries[0].Action != controlplane.ActionDomainCreated ||
		entries[0].After["name"] != "example.com" {
		t.Errorf("ListLog = %+v, %v, want one domain.created entry for example.com", entries,
			err)
	}
}

func TestAuditKeepsEveryField(t *testing.T) {
	t.Parallel()
	d := open(t)
	want := controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent), OrgID: d.org,
		Actor: controlplane.Actor{Type: controlplane.ActorToken,
			ID: "tok_x", IP: "192.0.2.1", RequestID: "req-1"},
		Action: controlplane.ActionTokenUpdated, EntityType: "token", EntityID: "tok_y",
		Before: map[string]any{"name": "a"}, After: map[string]any{"name": "b"},
		Details: map[string]any{"n": 1.0}, CreatedAt: start}
	d.must(d.Audit(t.Context(), want))
	entries, _, err := d.ListLog(t.Context(), d.org,
		postgres.LogFilter{EntityID: "tok_y", Limit: 10})
	if err != nil || len(entries) != 1 {
		t.Fatalf("ListLog = %+v, %v, want one entry", entries, err)
	}
	got := entries[0]
	if got.Actor != want.Actor || got.Action != want.Action || got.EntityType != "token" ||
		got.Before["name"] != "a" || got.After["name"] != "b" ||
		got.Details["n"] != 1.0 || !got.CreatedAt.Equal(start) || got.Seq == 0 {
		t.Errorf("ListLog returned %+v, want %+v", got, want)
	}
}

// The log outlives the objects that its entries are about.
func TestAuditOutlivesDomainAndOrganization(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, _ := d.add(d.org, "example.com")
	d.must(d.DeleteDomain(t.Context(), d.org, dom.ID))
	d.add(d.org, "other.example.com")
	d.exec(`DELETE FROM organizations WHERE id = $1`, d.org)
	if entries, _, err := d.ListLog(t.Context(), d.org,
		postgres.LogFilter{EntityID: dom.ID, Limit: 10}); err != nil ||
		len(entries) != 1 {
		t.Errorf("ListLog after the deletions = %+v, %v, want one entry", entries, err)
	}
	for _, table := range []string{"domains", "jobs", "certificates", "acme_orders", "challenges",
		"api_tokens"} {
		if n := value[int](d, `SELECT count(*) FROM `+table); n != 0 {
			t.Errorf("%d rows of %s are left", n, table)
		}
	}
}
