package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// A deleted organization is removed in batches that are separate transactions. Each may be the last
// one for a while: the others continue from there.
func TestRemoveOrganizationInBatches(t *testing.T) {
	t.Parallel()
	const n, batch = 25, 10
	d := open(t)
	other := d.organization(10)
	d.add(other, "other.example.com")
	for i := range n {
		d.add(d.org, fmt.Sprintf("d%d.example.com", i))
	}
	now := time.Now()
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.EndOrganization(t.Context(), d.org, now)
	}))
	if got := must(d.DeletedOrganizations(t.Context())); len(got) != 1 || got[0] != d.org {
		t.Fatalf("DeletedOrganizations = %v, want %s", got, d.org)
	}
	nameServer := d.conn()
	if _, err := nameServer.Exec(t.Context(), `LISTEN dcvaas_zone`); err != nil {
		t.Fatal(err)
	}
	d.must(d.RetractTargets(t.Context(), d.org))
	told := map[string]bool{}
	for range n {
		note, err := nameServer.WaitForNotification(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		told[note.Payload] = true
	}
	if want := "-t " + value[string](d, `SELECT min(cname_target) FROM domains WHERE org_id = $1`,
		d.org); len(told) != n || !told[want] {
		t.Errorf("notifications of the name servers = %v, want one of each target", told)
	}
	for left := n; left > 0; left -= batch {
		if more, err := d.RemoveOrganization(t.Context(), d.org, batch); !more || err != nil {
			t.Fatalf("RemoveOrganization = %v, %v, want more", more, err)
		}
		if got := value[int](d, `SELECT count(*) FROM domains WHERE org_id = $1`,
			d.org); got != max(left-batch, 0) {
			t.Errorf("domains after a batch = %d, want %d", got, max(left-batch, 0))
		}
	}
	if more, err := d.RemoveOrganization(t.Context(), d.org, batch); more || err != nil {
		t.Errorf("the last RemoveOrganization = %v, %v, want no more", more, err)
	}
	if got := value[string](d, `SELECT string_agg(id, ',') FROM organizations`); got != other {
		t.Errorf("organizations = %s, want %s", got, other)
	}
	if got := value[int](d, `SELECT count(*) FROM jobs`); got != 1 {
		t.Errorf("jobs = %d, want the one of the other organization", got)
	}
}

// An organization that was not deleted is not removed.
func TestRemoveOrganizationSparesOthers(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.add(d.org, "example.com")
	if more, err := d.RemoveOrganization(t.Context(), d.org, 10); more || err != nil {
		t.Errorf("RemoveOrganization = %v, %v, want nothing to remove", more, err)
	}
	if _, err := d.Organization(t.Context(), d.org); err != nil {
		t.Errorf("Organization = %v, want nil", err)
	}
	if got := must(d.ListDomainsOf(t, d.org)); len(got) != 1 {
		t.Errorf("domains = %d, want 1", len(got))
	}
}

// ListDomainsOf returns the domains of an organization.
func (d *db) ListDomainsOf(t *testing.T, org string) ([]controlplane.Domain, error) {
	t.Helper()
	domains, _, err := d.ListDomains(t.Context(), org, postgres.DomainFilter{Limit: 100})
	return domains, err
}
