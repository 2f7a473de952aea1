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

	o, err := w.CreateOwnOrganization(ctx, actor, session, "  Second  Ltd ")
	must(t, err)
	if o.Tier != controlplane.TierFree || o.ID == first {
		t.Errorf("organization = %+v, want a new one on the free plan", o)
	}
	all, err := w.Store.Memberships(ctx, session.User.ID)
	must(t, err)
	if len(all) != 2 || all[0].Organization.ID != o.ID || all[0].Role != controlplane.RoleOwner {
		t.Errorf("memberships = %+v, want the new organization, used last, as its owner", all)
	}
	if n := value[int](w, `SELECT count(*) FROM sessions WHERE id = $1 AND org_id = $2`, session.ID,
		o.ID); n != 1 {
		t.Error("the session is not in the new organization")
	}
	_, err = w.CreateOwnOrganization(ctx, actor, session, " ")
	wantError(t, "empty name", err, controlplane.KindInvalid, "name-invalid")

	session.OrgID = o.ID
	var wg sync.WaitGroup
	var created atomic.Int32
	for i := range 8 {
		wg.Go(func() {
			own := *session
			_, err := w.CreateOwnOrganization(ctx, actor, &own, fmt.Sprint("Number ", i))
			switch {
			case err == nil:
				created.Add(1)
			case !controlplane.HasCode(err, "organization-limit") &&
				!controlplane.IsKind(err, controlplane.KindNotFound): // its session has moved
				t.Errorf("CreateOwnOrganization: %v", err)
			}
		})
	}
	wg.Wait()
	all, err = w.Store.Memberships(ctx, session.User.ID)
	must(t, err)
	if len(all) > 5 || int(created.Load()) != len(all)-2 {
		t.Errorf("%d organizations after %d were created, want at most 5", len(all), created.Load())
	}
	session.OrgID = all[0].Organization.ID
	for range 5 {
		if _, err = w.CreateOwnOrganization(ctx, actor, session, "More"); err != nil {
			break
		}
		all, err = w.Store.Memberships(ctx, session.User.ID)
		must(t, err)
		session.OrgID = all[0].Organization.ID
	}
	wantError(t, "sixth organization", err, controlplane.KindForbidden, "organization-limit")
	if all, err = w.Store.Memberships(ctx, session.User.ID); err != nil || len(all) != 5 {
		t.Errorf("%d organizations, %v, want 5", len(all), err)
	}
}

func TestCreateOwnOrganizationIsLimited(t *testing.T) {
	t.Parallel()
	closed := newWorld(t, invitedOnly)
	closed.member(7, controlplane.RoleOwner)
	session, _ := closed.signIn(7)
	before := closed.stored()
	_, err := closed.CreateOwnOrganization(t.Context(), alice, session, "Second Ltd")
	wantError(t, "by invitation only", err, controlplane.KindForbidden, "organizations-closed")
	if got := closed.stored(); got != before {
		t.Errorf("rows = %v, want %v", got, before)
	}

	w := newWorld(t)
	session, _ = w.signIn(7)
	often := errors.New("too often")
	w.MayCreate = func(context.Context, string) error { return often }
	if _, err := w.CreateOwnOrganization(t.Context(), alice, session, "Second Ltd"); !errors.Is(err,
		often) {
		t.Errorf("error = %v, want that of MayCreate", err)
	}
}
