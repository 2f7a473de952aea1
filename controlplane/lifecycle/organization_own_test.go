package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// A user owns at most five organizations, also if many are created at once.
func TestCreateOwnOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	session, _ := w.signIn(7)
	first := session.OrgID
	actor := controlplane.Actor{Type: controlplane.ActorUser, ID: session.User.ID, IP: "192.0.2.9"}

	o, err := w.CreateOwnOrganization(ctx, actor, &session.User, "  Second  Ltd ")
	must(t, err)
	if o.Tier != controlplane.TierFree || o.ID == first {
		t.Errorf("organization = %+v, want a new one on the free plan", o)
	}
	owned := func() int {
		all, err := w.Store.Memberships(ctx, session.User.ID)
		must(t, err)
		for _, m := range all {
			if m.Role != controlplane.RoleOwner {
				t.Errorf("role in %s = %s, want owner", m.Organization.Name, m.Role)
			}
		}
		return len(all)
	}
	if n := owned(); n != 2 {
		t.Errorf("%d organizations, want 2", n)
	}
	_, err = w.CreateOwnOrganization(ctx, actor, &session.User, " ")
	wantError(t, "empty name", err, controlplane.KindInvalid, "name-invalid")

	var wg sync.WaitGroup
	var created atomic.Int32
	for i := range 8 {
		wg.Go(func() {
			_, err := w.CreateOwnOrganization(ctx, actor, &session.User, fmt.Sprint("Number ", i))
			if err == nil {
				created.Add(1)
			} else if !controlplane.HasCode(err, "organization-limit") {
				t.Errorf("CreateOwnOrganization: %v", err)
			}
		})
	}
	wg.Wait()
	if n := owned(); n != 5 || created.Load() != 3 {
		t.Errorf("%d organizations after %d were created, want 5 and 3", n, created.Load())
	}
	_, err = w.CreateOwnOrganization(ctx, actor, &session.User, "More")
	wantError(t, "sixth organization", err, controlplane.KindForbidden, "organization-limit")
}

func TestCreateOwnOrganizationIsLimited(t *testing.T) {
	t.Parallel()
	closed := newWorld(t, invitedOnly)
	closed.member(7, controlplane.RoleOwner)
	session, _ := closed.signIn(7)
	before := closed.stored()
	_, err := closed.CreateOwnOrganization(t.Context(), alice, &session.User, "Second Ltd")
	wantError(t, "by invitation only", err, controlplane.KindForbidden, "organizations-closed")
	if got := closed.stored(); got != before {
		t.Errorf("rows = %v, want %v", got, before)
	}

	w := newWorld(t)
	session, _ = w.signIn(7)
	often := errors.New("too often")
	w.MayCreate = func(context.Context, string) error { return often }
	if _, err := w.CreateOwnOrganization(t.Context(), alice, &session.User, "Second Ltd"); !errors.Is(err,
		often) {
		t.Errorf("error = %v, want that of MayCreate", err)
	}
}
