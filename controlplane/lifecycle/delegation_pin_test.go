package lifecycle_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// Pins, deletions, and domains that use and leave the same delegation at the same time neither
// leave a domain without its target nor a target without a reason, and the count is exact.
func TestDelegationRaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all sync.WaitGroup
	for i := range 4 {
		for round := range 6 {
			name := fmt.Sprintf("d%d.example.com", round%3)
			all.Go(func() {
				switch i {
				case 0:
					if _, _, err := w.PinDelegation(t.Context(), alice, w.org, name, ""); err != nil {
						t.Errorf("PinDelegation(%s) = %v, want nil", name, err)
					}
				case 1:
					err := w.DeleteDelegation(t.Context(), alice, w.org, name, 0)
					if err != nil && !controlplane.IsKind(err, controlplane.KindNotFound) &&
						!controlplane.HasCode(err, "delegation-in-use") {
						t.Errorf("DeleteDelegation(%s) = %v, want nil or in use", name, err)
					}
				case 2:
					_, err := w.AddDomain(t.Context(), alice, w.org,
						lifecycle.NewDomain{Name: name})
					if err != nil && !controlplane.HasCode(err, "domain-exists") {
						t.Errorf("AddDomain(%s) = %v, want nil", name, err)
					}
				case 3:
					err := w.DeleteDomain(t.Context(), alice, w.org, name, 0)
					if err != nil && !controlplane.IsKind(err, controlplane.KindNotFound) {
						t.Errorf("DeleteDomain(%s) = %v, want nil", name, err)
					}
				}
			})
		}
	}
	all.Wait()
	for what, query := range map[string]string{
		"domains without their delegation": `SELECT count(*) FROM domains d WHERE NOT EXISTS (
			SELECT FROM domain_delegations u JOIN delegations g ON g.id = u.delegation_id
			JOIN targets t ON t.label = g.target AND t.org_id = g.org_id
			WHERE u.domain_id = d.id AND g.target = d.cname_target)`,
		"delegations without a reason": `SELECT count(*) FROM delegations g WHERE NOT pinned
			AND NOT EXISTS (SELECT FROM domain_delegations WHERE delegation_id = g.id)`,
		"targets without a delegation": `SELECT count(*) FROM targets t
			WHERE NOT EXISTS (SELECT FROM delegations WHERE target = t.label)`,
		"errors of the count": `SELECT abs(delegation_count - (SELECT count(*)::int FROM delegations)) FROM organizations`,
	} {
		if n := value[int](w, query); n != 0 {
			t.Errorf("%d %s, want 0", n, what)
		}
	}
}

// The limit holds for pins at the same time.
func TestDelegationLimitRace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`UPDATE organizations SET delegation_limit = 3`)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			name := fmt.Sprintf("d%d.example.com", i)
			_, _, err := w.PinDelegation(t.Context(), alice, w.org, name, "")
			if err != nil && !controlplane.HasCode(err, "plan-limit") {
				t.Errorf("PinDelegation(%s) = %v, want nil or plan-limit", name, err)
			}
		})
	}
	all.Wait()
	if n := value[int](w, `SELECT count(*)::int FROM delegations`); n != 3 {
		t.Errorf("%d delegations, want 3", n)
	}
}
