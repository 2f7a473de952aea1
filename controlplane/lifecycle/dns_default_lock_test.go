package lifecycle_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Changes of domains and delegations, deletions of connections, and their jobs run at the same time
// without a deadlock, and no domain keeps a connection that was deleted.
func TestDefaultsAtOnce(t *testing.T) {
	t.Parallel()
	a := newThrough(t)
	connections := []*controlplane.Connection{a.c, a.connection(), a.connection()}
	expected := func(err error) bool {
		return err == nil || controlplane.IsKind(err, controlplane.KindNotFound) ||
			controlplane.HasCode(err, "connection-unknown") ||
			controlplane.HasCode(err, "domain-exists") ||
			controlplane.HasCode(err, controlplane.CodeConnectionBusy) ||
			errors.Is(err, postgres.ErrClaimLost)
	}
	const rounds = 12
	ctx := t.Context()
	jobs := func(c *controlplane.Connection) error {
		j, err := a.Store.OpenConnectionJob(ctx, a.org, c.ID)
		if err == nil {
			err = a.RunJob(ctx, j.ID, j.Generation)
		}
		return err
	}
	var all sync.WaitGroup
	run := func(what string, do func(round int) error) {
		all.Go(func() {
			for i := range rounds {
				if err := do(i); !expected(err) {
					t.Errorf("%s, round %d: %v", what, i, err)
				}
			}
		})
	}
	name := func(i int) string { return fmt.Sprintf("d%d.example.com", i%3) }
	for n := range 2 {
		run("adding domains", func(i int) error {
			in := lifecycle.NewDomain{Name: name(i + n), Options: controlplane.Options{
				ConnectionID:    connections[(i+n)%2].ID,
				AdditionalNames: []string{"shared.example.com", name(i+n) + ".example.net"}}}
			_, err := a.AddDomain(ctx, alice, a.org, in)
			return err
		})
		run("setting connections", func(i int) error {
			c := connections[(i+n)%3].ID
			_, err := a.UpdateDomain(ctx, alice, a.org, name(i), 0,
				lifecycle.DomainPatch{ConnectionID: &c})
			return err
		})
		run("running jobs", func(i int) error { return jobs(connections[(i+n)%2]) })
	}
	run("pinning", func(i int) error {
		_, _, err := a.PinDelegation(ctx, alice, a.org, "shared.example.com",
			connections[i%3].ID)
		return err
	})
	run("unpinning", func(int) error {
		return a.ReleaseDelegation(ctx, alice, a.org, "shared.example.com")
	})
	run("deleting domains", func(i int) error {
		return a.DeleteDomain(ctx, alice, a.org, name(i), 0)
	})
	all.Go(func() {
		if err := a.DeleteConnection(ctx, alice, a.org, connections[2].ID, true); err != nil {
			t.Errorf("DeleteConnection() = %v, want nil", err)
		}
	})
	all.Wait()
	left := value[int](a.world, `SELECT (SELECT count(*) FROM domains WHERE connection_id = $1)
		+ (SELECT count(*) FROM delegations WHERE connection_id = $1)
		+ (SELECT count(*) FROM dns_records WHERE connection_id = $1)`, connections[2].ID)
	if left != 0 {
		t.Errorf("%d rows have the deleted connection, want none", left)
	}
}
