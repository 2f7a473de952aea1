package postgres_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// obstacle returns what rules out an order with an account.
func (d *db) obstacle(
	org, ca, account string, names []string, at time.Time,
) *controlplane.CAObstacle {
	d.t.Helper()
	found, err := d.CAStandings(d.t.Context(), org, ca, []string{account}, names, at)
	d.must(err)
	if len(found) == 0 {
		return nil
	}
	return found[0].Obstacle
}

// The states of an account concern only this account; those of a CA concern all of its accounts.
func TestStatesOfAccounts(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	accounts, names := []string{"default", "b", "c"}, []string{"a.example"}
	want := func(what, want string) {
		t.Helper()
		found, err := d.CAStandings(ctx, d.org, "one", accounts, names, start)
		d.must(err)
		got := ""
		for _, s := range found {
			got += fmt.Sprintf("%s %s %v, ", s.Account, s.Obstacle.Code, s.Suspected)
		}
		if got != want {
			t.Errorf("CAStandings after %s = %q, want %q", what, got, want)
		}
	}
	v := controlplane.Verdict{Code: controlplane.ReasonCAAccount}
	want("nothing", "")
	_, err := d.RejectAccount(ctx, controlplane.AccountKey("one", "b"), "a.example", true, v, start)
	d.must(err)
	want("a rejection of b", "b ca-account true, ")
	d.must(d.PauseNames(ctx, d.org, controlplane.AccountKey("one", "default"), names, "m", "f", start))
	want("a pause of a name", "default ca-paused false, b ca-account true, ")
	d.must(d.HoldCA(ctx, controlplane.CAHold{CA: controlplane.AccountRef("one", "c"), Since: start}))
	want("a hold of c", "default ca-paused false, b ca-account true, c ca-held false, ")
	d.must(d.HoldCA(ctx, controlplane.CAHold{CA: controlplane.AccountRef("one", "default"),
		Since: start}))
	want("a hold of the default account",
		"default ca-held false, b ca-account true, c ca-held false, ")
	if _, err := d.ReleaseCA(ctx, controlplane.AccountRef("one", "default"), start); err != nil {
		t.Fatal(err)
	}
	d.must(d.ForgetPauses(ctx, controlplane.AccountKey("one", "b"), start))
	want("a new account b", "default ca-paused false, b ca-account true, c ca-held false, ")
	d.must(d.HoldCA(ctx, controlplane.CAHold{CA: "one", Since: start}))
	want("a hold of the CA", "default ca-held false, b ca-held false, c ca-held false, ")
}

// A hold applies until it ends or is released, to every replica.
func TestCAHolds(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	until := start.Add(time.Hour)
	for _, h := range []controlplane.CAHold{
		{CA: "one", Reason: "first", By: "admin:a", Since: start},
		{CA: "one", Reason: "second", By: "admin:b", Since: start, Until: &until},
		{CA: "two", By: "admin:a", Since: start}} {
		d.must(d.HoldCA(ctx, h))
	}
	for at, want := range map[time.Time]int{start: 2, until.Add(-time.Second): 2, until: 1} {
		holds, err := d.replica().CAHolds(ctx, at)
		if err != nil || len(holds) != want || want == 2 && (holds[0].Reason != "second" ||
			!holds[0].Until.Equal(until) || holds[0].By != "admin:b") {
			t.Errorf("CAHolds(%s) = %+v, %v, want %d", at, holds, err, want)
		}
	}
	obstacle := func(ca string, at time.Time) string {
		t.Helper()
		o := d.obstacle(d.org, ca, "", []string{"a.example"}, at)
		if o == nil {
			return ""
		}
		return o.Code + " " + o.Message
	}
	for _, tt := range []struct {
		ca, want string
		at       time.Time
	}{{"one", "ca-held second", start}, {"one", "", until}, {"two", "ca-held ", until},
		{"three", "", start}} {
		if got := obstacle(tt.ca, tt.at); got != tt.want {
			t.Errorf("obstacle(%s, %s) = %q, want %q", tt.ca, tt.at, got, tt.want)
		}
	}
}

// A paused name concerns its organization, its CA, and itself.
func TestPausedNames(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	other := d.organization(10)
	d.must(d.PauseNames(ctx, d.org, "one", []string{"a.example", "b.example"}, "m", "f", start))
	d.must(d.PauseNames(ctx, d.org, "one", []string{"a.example"}, "again", "f2", start))
	find := func(org, ca string, names ...string) string {
		t.Helper()
		o := d.obstacle(org, ca, "", names, start)
		if o == nil {
			return ""
		}
		return o.Code + " " + o.Message + " " + o.Fix
	}
	for _, tt := range []struct {
		org, ca, name, want string
	}{{d.org, "one", "a.example", "ca-paused again f2"}, {d.org, "one", "b.example", "ca-paused m f"},
		{d.org, "one", "c.example", ""}, {d.org, "two", "a.example", ""},
		{other, "one", "a.example", ""}} {
		if got := find(tt.org, tt.ca, "z.example", tt.name); got != tt.want {
			t.Errorf("obstacle(%s, %s, %s) = %q, want %q", tt.org, tt.ca, tt.name, got, tt.want)
		}
	}
	d.must(d.UnpauseNames(ctx, other, []string{"a.example"}))
	if n, err := d.PausedNames(ctx); err != nil || n["one"] != 2 || len(n) != 1 {
		t.Errorf("PausedNames = %v, %v, want 2 at one", n, err)
	}
	d.must(d.UnpauseNames(ctx, d.org, []string{"a.example", "x.example"}))
	if find(d.org, "one", "a.example") != "" || find(d.org, "one", "b.example") == "" {
		t.Error("UnpauseNames did not remove exactly the given names")
	}
	d.must(d.HoldCA(ctx, controlplane.CAHold{CA: "one", Since: start}))
	if got := find(d.org, "one", "b.example"); got != "ca-held  " {
		t.Errorf("obstacle = %q, want the hold before the pause", got)
	}
	d.exec(`DELETE FROM organizations WHERE id = $1`, d.org)
	if n, err := d.PausedNames(ctx); err != nil || len(n) != 0 {
		t.Errorf("PausedNames after the organization's deletion = %v, %v, want none", n, err)
	}
}

// The pauses at a CA whose account was replaced are removed, and the jobs that wait for them become
// due.
func TestForgetPauses(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	_, paused := d.add(d.org, "a.example.com")
	_, busy := d.add(d.org, "b.example.com")
	d.exec(`UPDATE jobs SET run_at = $1, reason = CASE id WHEN $2 THEN 'ca-paused' ELSE 'ca-quota' END`,
		start.Add(time.Hour), paused.ID)
	due := func(want bool) {
		t.Helper()
		if j := d.job(d.org, paused.ID); j.RunAt.Equal(start) != want {
			t.Errorf("job that waits for the pause is due at %s, want at once: %v", j.RunAt, want)
		}
		if j := d.job(d.org, busy.ID); j.RunAt.Equal(start) {
			t.Errorf("job that waits for a limit is due at %s, want it unchanged", j.RunAt)
		}
	}
	d.must(d.ForgetPauses(ctx, "one", start)) // no name is paused
	due(false)
	d.must(d.PauseNames(ctx, d.org, "one", []string{"a.example.com"}, "m", "f", start))
	d.must(d.PauseNames(ctx, d.organization(10), "one", []string{"z.example.com"}, "m", "f", start))
	d.must(d.PauseNames(ctx, d.org, "two", []string{"a.example.com"}, "m", "f", start))
	d.must(d.ForgetPauses(ctx, "one", start))
	due(true)
	if n, err := d.PausedNames(ctx); err != nil || n["one"] != 0 || n["two"] != 1 {
		t.Errorf("PausedNames = %v, %v, want only the one at two", n, err)
	}
}

// Workers that find an account unusable at the same time report it once, and one of them probes it.
func TestAccountsUnderConcurrency(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	v := controlplane.Verdict{Code: "ca-account", Message: "m", Fix: "f"}
	var news atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			first, err := d.RejectAccount(ctx, "one", fmt.Sprintf("%d.example", i), true, v, start)
			if err != nil {
				t.Error(err)
			}
			if first {
				news.Add(1)
			}
		})
	}
	wg.Wait()
	if n := news.Load(); n < 1 {
		t.Errorf("RejectAccount returned true %d times, want at least once", n)
	}
	at := start.Add(controlplane.FirstAccountProbe)
	for range 20 {
		wg.Go(func() {
			if err := d.ProbeAccount(ctx, "one", at); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	accounts, err := d.CAAccounts(ctx)
	d.must(err)
	if len(accounts) != 1 || !accounts[0].ProbeAt.Equal(at.Add(2*controlplane.FirstAccountProbe)) {
		t.Errorf("CAAccounts = %+v, want one that was probed once", accounts)
	}
	for range 10 { // the pauses grow up to an hour
		d.must(d.ProbeAccount(ctx, "one", accounts[0].ProbeAt))
		before := accounts[0].ProbeAt
		accounts, err = d.CAAccounts(ctx)
		d.must(err)
		if wait := accounts[0].ProbeAt.Sub(before); wait > controlplane.LastAccountProbe {
			t.Errorf("next probe after %s, want at most %s", wait, controlplane.LastAccountProbe)
		}
	}
	if usable, err := d.AcceptAccount(ctx, "one"); !usable || err != nil {
		t.Errorf("AcceptAccount = %v, %v, want true", usable, err)
	}
	if usable, err := d.AcceptAccount(ctx, "one"); usable || err != nil {
		t.Errorf("AcceptAccount again = %v, %v, want false", usable, err)
	}
}

// Evidence against an account is forgotten after a while.
func TestAccountEvidence(t *testing.T) {
	t.Parallel()
	d := open(t)
	v := controlplane.Verdict{Code: "ca-account"}
	reject := func(domain string, at time.Time) bool {
		t.Helper()
		news, err := d.RejectAccount(t.Context(), "one", domain, false, v, at)
		d.must(err)
		return news
	}
	later := start.Add(controlplane.AccountEvidenceFor)
	for _, tt := range []struct {
		domain string
		at     time.Time
		want   bool
	}{{"a.example", start, false}, {"a.example", start, false}, {"b.example", start, false},
		{"c.example", later, false}, {"d.example", later, false}, {"d.example", later, false},
		{"e.example", later, true}, {"f.example", later, false}} {
		if got := reject(tt.domain, tt.at); got != tt.want {
			t.Errorf("RejectAccount(%s, %s) = %v, want %v", tt.domain, tt.at, got, tt.want)
		}
	}
}
