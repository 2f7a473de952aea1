package api

import (
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// An alert has one object, a code of the catalog, and the fix of the API. A token that is
// restricted to some domains gets only theirs.
func TestAlerts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, others := w.newEstate(w.org, "mine.example.com"), w.newEstate(w.org, "others.example.com")
	for _, e := range []estate{mine, others} {
		if err := w.store.InTx(t.Context(), func(tx *postgres.Tx) error {
			d, err := tx.LockDomain(t.Context(), w.org, e.domain.ID)
			if err != nil {
				return err
			}
			d.SetCondition(controlplane.Condition{Type: controlplane.DNSReady,
				Status: controlplane.ConditionFalse, Reason: controlplane.CauseCNAMEMismatch,
				Fix: "Create the record."})
			return tx.SaveDomain(t.Context(), d, w.api.now())
		}); err != nil {
			t.Fatal(err)
		}
	}
	titles := func(opts ...option) map[string]map[string]any {
		t.Helper()
		found := map[string]map[string]any{}
		for _, one := range w.do("GET", "/api/alerts", nil, opts...).is(200).json["data"].([]any) {
			alert := one.(map[string]any)
			found[alert["title"].(string)] = alert
			if _, ok := controlplane.CodeOf(alert["code"].(string)); !ok {
				t.Errorf("code %s of an alert is not in the catalog", alert["code"])
			}
		}
		return found
	}
	const title = "mine.example.com: CNAME points elsewhere"
	all := titles()
	if got := all[title]; got["domain_id"] != mine.domain.ID || got["fix"] != "Create the record." ||
		got["severity"] != "warning" || got["since"] == nil || got["job_id"] != nil ||
		got["id"] != "cname-mismatch."+mine.domain.ID {
		t.Errorf("alert = %v, want a warning of %s", got, mine.domain.ID)
	}
	if all["others.example.com: CNAME points elsewhere"] == nil {
		t.Errorf("alerts = %v, want those of both domains", all)
	}
	restricted := as(w.newToken(w.org, lifecycle.NewToken{
		Scopes:    []controlplane.Scope{controlplane.ScopeDomainsRead},
		DomainIDs: []string{mine.domain.ID}}))
	some := titles(restricted)
	if some[title] == nil || some["others.example.com: CNAME points elsewhere"] != nil {
		t.Errorf("alerts of a restricted token = %v, want only those of its domain", some)
	}
	w.do("GET", "/api/alerts?limit=1", nil).problem(400, "unknown-parameter")
}
