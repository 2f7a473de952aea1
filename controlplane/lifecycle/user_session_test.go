package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// live returns the number of the user's active sessions.
func (w *world) live(userID string) int {
	w.t.Helper()
	return value[int](w, `SELECT count(*) FROM sessions WHERE user_id = $1 AND expires_at > $2`,
		userID, w.clock.Now())
}

// endings returns the logged reasons for which the session ended.
func (w *world) endings(id string) []string {
	w.t.Helper()
	return value[[]string](w,
		`SELECT coalesce(array_agg(details->>'reason' ORDER BY seq), '{}') FROM audit_logs WHERE entity_id = $1 AND action = $2`, id, controlplane.ActionSessionEnded)
}

// 61 sign-ins leave the maximum number of sessions: those that were used last. The ends of the
// others are logged.
func TestSignInsBeyondTheMaximum(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	w.member(1, controlplane.RoleMember)
	w.member(2, controlplane.RoleMember)
	stranger, _ := w.signIn(2)
	first, _ := w.signIn(1)
	var all []*controlplane.Session
	for range 60 {
		w.clock.add(2 * time.Minute)
		must(t, w.Store.TouchSession(ctx, first, w.clock.Now())) // it is in use
		s, _ := w.signIn(1)
		all = append(all, s)
	}
	if got := w.live(first.User.ID); got != controlplane.MaxSessions {
		t.Errorf("%d active sessions after 61 sign-ins, want %d", got, controlplane.MaxSessions)
	}
	kept := controlplane.MaxSessions - 1 // besides the first
	for i, s := range all {
		_, err := w.Store.Session(ctx, s.Hash, w.clock.Now())
		if live := i >= len(all)-kept; live != (err == nil) {
			t.Errorf("session %d: error %v, want it active: %v", i, err, live)
		} else if want := []string{"too-many-sessions"}; !live &&
			!slices.Equal(w.endings(s.ID), want) {
			t.Errorf("session %d ended by %q, want %q", i, w.endings(s.ID), want)
		}
	}
	for _, s := range []*controlplane.Session{first, stranger} {
		if _, err := w.Store.Session(ctx, s.Hash, w.clock.Now()); err != nil ||
			len(w.endings(s.ID)) > 0 {
			t.Errorf("Session(%s) = %v, ended by %q, want it live", s.User.Login, err,
				w.endings(s.ID))
		}
	}
}

// A sign-in in the same browser ends only its previous session, even at the maximum number.
func TestSignInAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.member(1, controlplane.RoleMember)
	var last *controlplane.Session
	for range controlplane.MaxSessions {
		last, _ = w.signIn(1)
	}
	again, _, err := w.SignIn(t.Context(), newcomer, "a browser", account(1), last)
	must(t, err)
	if got := w.live(last.User.ID); got != controlplane.MaxSessions {
		t.Errorf("%d active sessions, want %d", got, controlplane.MaxSessions)
	}
	if got := w.endings(last.ID); !slices.Equal(got, []string{"signed-in-again"}) {
		t.Errorf("the browser's session ended by %q, want signed-in-again", got)
	}
	if e := w.last(last.ID); e.Actor.Type != controlplane.ActorUser || e.Actor.ID != last.User.ID ||
		e.Actor.IP != newcomer.IP {
		t.Errorf("actor of the end = %+v, want its user from %s", e.Actor, newcomer.IP)
	}
	// Signing out is idempotent and logged once.
	_, _, err = w.SignIn(t.Context(), newcomer, "a browser", account(1), last)
	must(t, err)
	if got := w.endings(last.ID); len(got) != 1 {
		t.Errorf("the browser's session ended by %q, want once", got)
	}
	must(t, w.SignOut(t.Context(), alice, again))
	if got := w.endings(again.ID); !slices.Equal(got, []string{"signed-out"}) {
		t.Errorf("the session ended by %q, want signed-out", got)
	}
}

// Users can end only their own sessions, in any organization.
func TestEndSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	other := w.organization(1)
	m := w.member(1, controlplane.RoleMember)
	_, err := w.AddMember(ctx, alice, other, account(1), controlplane.RoleMember)
	must(t, err)
	w.member(2, controlplane.RoleOwner)
	theirs, by2 := w.signIn(2)
	one, by := w.signIn(1)
	two, _ := w.signIn(1)
	three, _ := w.signIn(1)
	must(t, w.SwitchOrganization(ctx, by, two, other))

	wantError(t, "another's session", w.EndSession(ctx, by2, theirs.User.ID, one.ID),
		controlplane.KindNotFound, "not-found")
	wantError(t, "no session", w.EndSession(ctx, by, m.User.ID,
		controlplane.NewID(controlplane.PrefixSession)), controlplane.KindNotFound, "not-found")
	must(t, w.EndSession(ctx, by, m.User.ID, two.ID))
	wantError(t, "a second time", w.EndSession(ctx, by, m.User.ID, two.ID),
		controlplane.KindNotFound, "not-found")
	log := w.entries(other, two.ID)
	if e := log[len(log)-1]; e.Action != controlplane.ActionSessionEnded || e.Actor != by ||
		e.Details["reason"] != "ended-by-user" || e.Details["user_agent"] != "a browser" {
		t.Errorf("last entry of the session's organization = %+v, want its end", e)
	}

	n, err := w.EndSessions(ctx, by, m.User.ID, one.ID)
	must(t, err)
	if n != 1 || w.live(m.User.ID) != 1 || len(w.endings(three.ID)) != 1 ||
		w.live(theirs.User.ID) != 1 {
		t.Errorf("EndSessions = %d, with %d sessions of the user and %d of another user left, want 1 of each", n, w.live(m.User.ID), w.live(theirs.User.ID))
	}
	n, err = w.EndSessions(ctx, by, m.User.ID, "")
	must(t, err)
	if n != 1 || w.live(m.User.ID) != 0 {
		t.Errorf("EndSessions = %d with %d left, want 1 and none", n, w.live(m.User.ID))
	}
}
