package postgres_test

import (
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Delegations of another organization are neither found nor changed, by ID or name.
func TestDelegationsOfOtherTenants(t *testing.T) {
	t.Parallel()
	d := open(t)
	other, ctx := d.organization(5), t.Context()
	dom, _ := d.add(d.org, "example.com")
	g, err := d.Delegation(ctx, d.org, "example.com", nil)
	d.must(err)
	stranger := *g
	stranger.OrgID, stranger.Pinned = other, true
	in := func(fn func(tx *postgres.Tx) error) error { return d.InTx(ctx, fn) }
	for what, call := range map[string]func() error{
		"Delegation by ID": func() error { _, err := d.Delegation(ctx, other, g.ID, nil); return err },
		"Delegation by name": func() error {
			_, err := d.Delegation(ctx, other, g.Name, nil)
			return err
		},
		"LockDelegation": func() error {
			return in(func(tx *postgres.Tx) error {
				_, err := tx.LockDelegation(ctx, other, g.ID)
				return err
			})
		},
		"SaveDelegation": func() error {
			return in(func(tx *postgres.Tx) error {
				return tx.SaveDelegation(ctx, &stranger, start)
			})
		},
		"DeleteDelegation": func() error {
			return in(func(tx *postgres.Tx) error { return tx.DeleteDelegation(ctx, other, g.ID) })
		},
	} {
		wantKind(t, what, call(), controlplane.KindNotFound)
	}
	list, _, err := d.ListDelegations(ctx, other,
		postgres.DelegationFilter{Limit: 10, DomainIDs: []string{dom.ID}})
	if err != nil || len(list) != 0 {
		t.Errorf("ListDelegations = %v, %v, want none", list, err)
	}
	names, err := d.DelegationUsers(ctx, other, []string{dom.ID})
	if err != nil || len(names) != 0 {
		t.Errorf("DelegationUsers = %v, %v, want none", names, err)
	}
	if got, err := d.Delegation(ctx, d.org, g.ID, nil); err != nil || got.Pinned ||
		got.Version != g.Version || got.Domains != 1 {
		t.Errorf("Delegation = %+v, %v, want it unchanged", got, err)
	}
}
