package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

const shared = "shared.example.com"

// sharing returns a world with two active domains that use the delegation of shared, one for the
// name and one for its wildcard.
func sharing(t *testing.T) (w *world, a, b *controlplane.Domain) {
	t.Helper()
	w = newWorld(t)
	w.ca.identities = []controlplane.CAIdentity{{Name: "primary"}, {Name: "backup"}}
	w.doctor.caa = allows("primary", "backup")
	w.doctor.codes = map[string]string{} // messages have names
	a = w.active("a.example.com", func(o *controlplane.Options) {
		o.AdditionalNames = []string{shared}
	})
	b = w.active("b.example.com", func(o *controlplane.Options) {
		o.AdditionalNames = []string{"*." + shared}
	})
	w.later(day) // the checks of the orders are too old to be reused
	return w, a, b
}

// later moves the clock. No rehearsal becomes due by it.
func (w *world) later(by time.Duration) {
	w.t.Helper()
	w.clock.add(by)
	w.exec(`UPDATE domains SET rehearse_at = $1::timestamptz + interval '1 day'`, w.clock.Now())
}

// rehearses makes the domain's rehearsal due, runs it, and checks how many names were examined.
func (w *world) rehearses(what string, d *controlplane.Domain, want int) {
	w.t.Helper()
	w.exec(`UPDATE domains SET rehearse_at = $2 WHERE id = $1`, d.ID, w.clock.Now())
	w.wakes(what, d)
	w.examines(what, want, func() {
		j := w.job(d, controlplane.JobDNSCheck)
		must(w.t, w.RunJob(w.t.Context(), j.ID, j.Generation))
	})
}

// wakes checks that the rehearsals of exactly these domains are due, and queues them.
func (w *world) wakes(what string, domains ...*controlplane.Domain) {
	w.t.Helper()
	for _, d := range domains {
		if at := value[time.Time](w, `SELECT rehearse_at FROM domains WHERE id = $1`,
			d.ID); at.After(w.clock.Now()) {
			w.t.Errorf("%s: the rehearsal of %s is due at %s, want now", what, d.Name, at)
		}
	}
	if n, err := w.Rehearse(w.t.Context()); n != len(domains) || err != nil {
		w.t.Fatalf("%s: Rehearse = %d, %v, want %d", what, n, err, len(domains))
	}
}

// examines checks how many names run examines.
func (w *world) examines(what string, want int, run func()) {
	w.t.Helper()
	before := w.doctor.checks()
	run()
	if got := w.doctor.checks() - before; got != want {
		w.t.Errorf("%s: %d names were examined, want %d", what, got, want)
	}
}

func (w *world) runCheckOf(d *controlplane.Domain) func() {
	return func() { w.run(d, controlplane.JobDNSCheck) }
}

// A delegation of two domains is checked once per interval. The result is the same as without
// sharing, except for its time.
func TestASharedDelegationIsCheckedOnce(t *testing.T) {
	t.Parallel()
	w, a, b := sharing(t)
	conditions := w.domain(b).Conditions
	for range 3 {
		at := w.clock.Now()
		w.rehearses("first user", a, 2)
		w.later(10 * time.Hour)
		w.rehearses("second user", b, 1)
		if c := w.domain(b).Condition(controlplane.DNSReady); !c.LastCheckedAt.Equal(at) {
			t.Errorf("DNSReady was last checked at %s, want %s", c.LastCheckedAt, at)
		}
		w.later(14 * time.Hour)
	}
	if diff := cmp.Diff(conditions, w.domain(b).Conditions,
		cmpopts.IgnoreFields(controlplane.Condition{}, "LastCheckedAt")); diff != "" {
		t.Errorf("conditions after rehearsals (-before +after):\n%s", diff)
	}
	if n := w.jobs(b, controlplane.JobDNSCheck); n != 1 {
		t.Errorf("%d checks have a row, want only the first one", n)
	}
	w.rehearses("first user", a, 2)
	w.later(22 * time.Hour)
	w.rehearses("after nine tenths of the interval", b, 2)
	w.later(2 * time.Hour)
	w.rehearses("first user, after the second", a, 1)
}

// A check that finds a cause at a shared delegation, or that it was fixed, makes the rehearsals of
// its other users due. Each is notified as if it alone used the delegation.
func TestUsersLearnThatASharedDelegationBroke(t *testing.T) {
	t.Parallel()
	w, a, b := sharing(t)
	alone := w.active("alone.example.com", func(o *controlplane.Options) {
		o.AdditionalNames = []string{"only.example.com"}
	})
	w.later(time.Hour)
	w.doctor.findsAt("only.example.com", controlplane.CauseCNAMEMissing)
	w.rehearses("a domain that shares nothing", alone, 2)
	w.wakes("a delegation of one domain broke")

	w.rehearses("first user", a, 2)
	w.later(day)
	w.doctor.findsAt(shared, controlplane.CauseCNAMEMissing)
	w.rehearses("broken", a, 2)
	w.wakes("broken", b)
	w.examines("broken", 2, w.runCheckOf(b))
	w.wakes("broken, both know")
	want := w.domain(alone).Condition(controlplane.RenewalOnTrack)
	for _, d := range []*controlplane.Domain{a, b} {
		d = w.domain(d)
		w.wantBroken(d, controlplane.CauseCNAMEMissing, shared)
		c := wantCondition(t, d, controlplane.RenewalOnTrack, "false",
			controlplane.CauseCNAMEMissing)
		wantNames(t, d.Name, c, shared)
		if message := strings.ReplaceAll(want.Message, "only.example.com",
			shared); c.Message != message {
			t.Errorf("message of %s = %q, want %q", d.Name, c.Message, message)
		}
		if n := w.count(d.ID, controlplane.ActionDelegationBroken); n != 1 {
			t.Errorf("%s has %d events of the broken delegation, want 1", d.Name, n)
		}
	}
	w.later(10 * time.Minute)
	w.doctor.findsAt(shared, controlplane.CauseOK)
	w.rehearses("fixed", b, 2)
	w.wakes("fixed", a)
	w.examines("fixed", 2, w.runCheckOf(a))
	w.wakes("fixed, both know")
	for _, d := range []*controlplane.Domain{a, b} {
		wantCondition(t, w.domain(d), controlplane.DNSReady, "true", controlplane.ReasonDelegated)
		wantCondition(t, w.domain(d), controlplane.RenewalOnTrack, "true", "scheduled")
		if n := w.count(d.ID, controlplane.ActionDNSVerified); n != 2 {
			t.Errorf("%s was verified %d times, want 2", d.Name, n)
		}
	}

	// A zone that changes with each query wakes the users once an hour.
	w.doctor.findsAt(shared, controlplane.CauseCNAMEMissing)
	w.rehearses("broken again", a, 2)
	w.wakes("broken again, within an hour")
	w.later(time.Hour)
	w.doctor.findsAt(shared, controlplane.CauseOK)
	w.rehearses("fixed again", a, 2)
	w.wakes("fixed again: the other user did not know")

	// CAA is a cause of the delegation's users, too.
	w.later(day)
	w.doctor.caaOf = map[string][]controlplane.CAAFinding{shared: allows()}
	w.rehearses("no CA may issue", b, 2)
	w.wakes("no CA may issue", a)
	w.examines("no CA may issue", 2, w.runCheckOf(a))
	wantCondition(t, w.domain(a), controlplane.RenewalOnTrack, "false",
		controlplane.CauseCAAForbids)

	// A check does not wait for a user that is locked. The user's next rehearsal finds the cause.
	w.later(day)
	w.doctor.caaOf = nil
	w.rehearses("authorized", a, 2)
	w.doctor.findsAt(shared, controlplane.CauseCNAMEMissing)
	must(t, w.Store.InTx(t.Context(), func(tx *postgres.Tx) error {
		_, err := tx.LockDomain(t.Context(), w.org, a.ID)
		w.rehearses("broken while the other user is locked", b, 2)
		return err
	}))
	w.wakes("broken while the other user was locked")
	w.rehearses("the other user's rehearsal", a, 2)
	w.wantBroken(w.domain(a), controlplane.CauseCNAMEMissing, shared)
}

// A result is reused only if it covers what the domain needs, and if nothing at all was found.
// Requested checks and preflights examine everything.
func TestWhatASharedCheckDoesNotServe(t *testing.T) {
	t.Parallel()
	w, a, b := sharing(t)
	again := func(what string, want int) {
		t.Helper()
		w.rehearses(what+", first user", a, 2)
		w.later(time.Hour)
		w.rehearses(what, b, want)
		w.later(day)
	}
	again("both names are clear", 1)
	w.doctor.clearOf = map[string]controlplane.Certified{shared: {Plain: true}}
	again("only the name is clear, for the wildcard", 2)
	w.doctor.clearOf = map[string]controlplane.Certified{shared: {Wildcard: true}}
	again("only the wildcard is clear, for the wildcard", 1)
	w.doctor.clearOf = map[string]controlplane.Certified{shared: {}}
	again("there was a warning", 2)
	w.doctor.clearOf = nil
	w.doctor.caaOf = map[string][]controlplane.CAAFinding{shared: allows("backup")}
	again("a CA is forbidden", 2)
	if got := w.domain(b).ForbiddenCAs; len(got) != 1 || got[0] != "primary" {
		t.Errorf("forbidden CAs = %q, want primary", got)
	}
	w.doctor.caaOf = nil
	again("the CA is authorized again", 1)

	w.rehearses("first user", a, 2)
	w.ca.identities = w.ca.identities[:1]
	w.rehearses("other CAs", b, 2)
	w.later(day)

	w.rehearses("first user", a, 2)
	_, _, err := w.RequestCheck(t.Context(), alice, w.org, b.ID)
	must(t, err)
	w.examines("requested check", 2, w.runCheckOf(b))
	w.later(day)

	w.rehearses("first user", a, 2)
	w.exec(`UPDATE domains SET rehearse_at = $2 WHERE id = $1`, b.ID, w.clock.Now())
	w.wakes("rehearsal", b)
	_, _, err = w.RequestCheck(t.Context(), alice, w.org, b.ID)
	must(t, err)
	w.examines("requested rehearsal", 2, w.runCheckOf(b))
	w.later(day)

	w.rehearses("first user", a, 2)
	_, _, err = w.RequestRenew(t.Context(), alice, w.org, b.ID)
	must(t, err)
	w.examines("preflight", 2, func() { w.run(b, controlplane.JobRenewal) })
	w.later(day)

	// The previous version of the program writes only the result.
	w.rehearses("first user", a, 2)
	w.exec(`UPDATE delegations SET last_checked_at = last_checked_at + interval '1 minute'`)
	w.rehearses("checked by another version", b, 2)
	w.later(day)

	// Another organization has its own delegation of the same name.
	w.org = w.organization(10)
	c := w.active("b.example.com", func(o *controlplane.Options) {
		o.AdditionalNames = []string{shared}
	})
	w.later(day)
	w.rehearses("first user", a, 2)
	w.later(time.Hour)
	w.rehearses("another organization", c, 2)
	w.later(time.Hour)
	w.doctor.findsAt(shared, controlplane.CauseCNAMEMissing)
	w.rehearses("another organization, broken", c, 2)
	w.wakes("another organization's delegation broke")
}

// Reusing a result takes no further statement, and a domain that shares nothing takes as many.
func TestStatementsOfASharedCheck(t *testing.T) {
	t.Parallel()
	w, a, b := sharing(t)
	alone := w.active("alone.example.com", func(o *controlplane.Options) {
		o.AdditionalNames = []string{"only.example.com"}
	})
	dsn, statements := postgrestest.Counted(t, w.dsn)
	store, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, MaxConns: 2})
	must(t, err)
	t.Cleanup(store.Close)
	for _, d := range []*controlplane.Domain{alone, a, b} { // statements are prepared once
		w.later(time.Hour)
		w.exec(`UPDATE domains SET rehearse_at = $2 WHERE id = $1`, d.ID, w.clock.Now())
		w.wakes(d.Name, d)
		j := w.job(d, controlplane.JobDNSCheck)
		own := w.Store
		w.Store = store
		before := statements()
		must(t, w.RunJob(t.Context(), j.ID, j.Generation))
		got := statements() - before
		w.Store = own
		if got != 2 {
			t.Errorf("rehearsal of %s: %d statements, want 2: claim and conclusion", d.Name, got)
		}
	}
}

// The checks of a pinned delegation serve the domains that use it, and theirs serve it.
func TestAPinnedDelegationIsCheckedOnce(t *testing.T) {
	t.Parallel()
	w, a, b := sharing(t)
	g := w.pinned(shared)
	check := func() {
		t.Helper()
		_, err := w.runCheck(g)
		must(t, err)
	}
	at := w.clock.Now()
	w.examines("pinned", 1, check)
	w.later(time.Hour)
	w.rehearses("user of the pinned delegation", a, 1)
	w.rehearses("another user", b, 1)
	w.later(20 * time.Hour)
	w.rehearses("user, again before the pinned delegation", a, 2)
	last := w.clock.Now()
	w.examines("pinned, checked by a user", 0, check)
	if got := w.delegation(g); !got.LastCheckedAt.Equal(last) || got.NextCheckAt == nil ||
		got.NextCheckAt.Sub(w.clock.Now()) < 21*time.Hour {
		t.Errorf("after %s: %+v, want the check of %s, and the next one in a day",
			w.clock.Now().Sub(at), got, last)
	}
	w.examines("pinned, a day later", 1, check)
	if got := w.delegation(g); !got.LastCheckedAt.Equal(w.clock.Now()) {
		t.Errorf("last checked at %s, want %s", got.LastCheckedAt, w.clock.Now())
	}

	w.later(time.Hour)
	w.rehearses("user", b, 1)
	_, _, err := w.RequestDelegationCheck(t.Context(), alice, w.org, g.ID, nil)
	must(t, err)
	w.examines("pinned, requested", 1, check)

	w.doctor.findsAt(shared, controlplane.CauseCNAMEMismatch)
	w.later(0)
	_, _, err = w.RequestDelegationCheck(t.Context(), alice, w.org, g.ID, nil)
	must(t, err)
	w.examines("pinned, broken", 1, check)
	w.wakes("pinned, broken", a, b)
	w.examines("pinned, broken", 4, func() { w.runCheckOf(a)(); w.runCheckOf(b)() })
	for _, d := range []*controlplane.Domain{a, b} {
		wantCondition(t, w.domain(d), controlplane.DNSReady, "false",
			controlplane.CauseCNAMEMismatch)
	}
	w.doctor.findsAt(shared, controlplane.CauseOK)
	check()
	w.wakes("pinned, fixed", a, b)
}
