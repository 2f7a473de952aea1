package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// acmedns stores an account of the acme-dns API with its own target.
func (d *db) acmedns(org string) *controlplane.ACMEDNSAccount {
	d.t.Helper()
	label := controlplane.NewACMEDNSSubdomain()
	a := &controlplane.ACMEDNSAccount{ID: controlplane.NewID(controlplane.PrefixACMEDNS),
		OrgID: org, Username: controlplane.NewACMEDNSUsername(), Subdomain: label, Target: label,
		CreatedBy: "test", CreatedAt: start, UpdatedAt: start}
	d.must(d.InTx(d.t.Context(), func(tx *postgres.Tx) error {
		return tx.AddACMEDNSAccount(d.t.Context(), a, controlplane.HashSecret("password"))
	}))
	return a
}

// publishACMEDNS serves a value of an account until expires.
func (d *db) publishACMEDNS(a *controlplane.ACMEDNSAccount, value string, expires time.Time) {
	d.t.Helper()
	target, err := d.PublishACMEDNSValue(d.t.Context(), a.OrgID, a.ID, value, expires, start)
	if err != nil || target != a.Target {
		d.t.Fatalf("PublishACMEDNSValue(%s) = %q, %v, want %q", value, target, err, a.Target)
	}
}

// served returns the values at a target that LookupTarget returns, sorted.
func (d *db) served(target string, now time.Time) []string {
	d.t.Helper()
	exists, found, err := d.LookupTarget(d.t.Context(), target, now)
	d.must(err)
	if !exists {
		return []string{"NXDOMAIN"}
	}
	values := []string{}
	for _, c := range found {
		values = append(values, fmt.Sprintf("%s %d", c.Value, c.ExpiresAt.Sub(start)/time.Minute))
	}
	slices.Sort(values)
	return values
}

func (d *db) wantServed(target string, want ...string) {
	d.t.Helper()
	if got := d.served(target, start); !slices.Equal(got, want) {
		d.t.Errorf("values at the target = %q, want %q", got, want)
	}
}

// Values of accounts are in the snapshot and the notifications like challenges. A repeated update
// renews its value, and the target ends with its account.
func TestACMEDNSValuesAreFollowed(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.acmedns(d.org)
	hour := start.Add(time.Hour)
	d.publishACMEDNS(a, "before", hour)
	d.publishACMEDNS(a, "expired", start)
	z := newZone()
	d.follow(z)
	snapshot := z.until(t, "commit")
	want := []string{"begin", "target " + a.Target,
		fmt.Sprintf("value %s before %d", a.Target, hour.Unix()), "commit"}
	if !slices.Equal(snapshot, want) {
		t.Errorf("snapshot = %q, want %q", snapshot, want)
	}
	d.publishACMEDNS(a, "after", hour)
	d.publishACMEDNS(a, "after", hour.Add(time.Hour))
	d.publishACMEDNS(a, "after", hour) // no earlier expiry
	d.wantServed(a.Target, "after 120", "before 60")
	d.must(d.RemoveACMEDNSValue(t.Context(), d.org, a.ID, "before"))
	d.must(d.RemoveACMEDNSValue(t.Context(), d.org, a.ID, "unknown"))
	d.wantServed(a.Target, "after 120")
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.DeleteACMEDNSAccount(t.Context(), d.org, a.ID)
	}))
	d.wantServed(a.Target, "NXDOMAIN")
	changes := z.until(t, "-t "+a.Target)[len(want):]
	after := fmt.Sprintf("+c %s after ", a.Target)
	for i, line := range []string{after + fmt.Sprint(hour.Unix()),
		after + fmt.Sprint(hour.Add(time.Hour).Unix()),
		after + fmt.Sprint(hour.Add(time.Hour).Unix()), "-c " + a.Target + " before"} {
		if i >= len(changes) || changes[i] != line {
			t.Fatalf("changes = %q, want %q as number %d", changes, line, i)
		}
	}
}

// A further value replaces the one that expires first, also if updates are concurrent.
func TestACMEDNSValuesAreLimited(t *testing.T) {
	t.Parallel()
	d := open(t)
	a := d.acmedns(d.org)
	atOnce(controlplane.MaxACMEDNSValues+20, func(i int) {
		if _, err := d.PublishACMEDNSValue(t.Context(), d.org, a.ID, fmt.Sprint(i),
			start.Add(time.Hour), start); err != nil {
			t.Errorf("PublishACMEDNSValue(%d) = %v, want nil", i, err)
		}
	})
	count := func() int { return value[int](d, `SELECT count(*) FROM acmedns_values`) }
	if n := count(); n != controlplane.MaxACMEDNSValues {
		t.Errorf("values after concurrent updates = %d, want %d", n,
			controlplane.MaxACMEDNSValues)
	}
	d.publishACMEDNS(a, "first", start.Add(time.Minute))
	d.publishACMEDNS(a, "last", start.Add(2*time.Hour))
	values := d.served(a.Target, start)
	if slices.Contains(values, "first 1") || !slices.Contains(values, "last 120") {
		t.Errorf("values have first = %v, last = %v, want only last",
			slices.Contains(values, "first 1"), slices.Contains(values, "last 120"))
	}
	if n := count(); n != controlplane.MaxACMEDNSValues {
		t.Errorf("values = %d, want %d", n, controlplane.MaxACMEDNSValues)
	}
	account, err := d.ACMEDNSAccount(t.Context(), d.org, a.ID)
	d.must(err)
	if want := int64(controlplane.MaxACMEDNSValues + 22); account.Updates != want ||
		account.LastUsedAt == nil || !account.LastUsedAt.Equal(start) {
		t.Errorf("account = %d updates, last %v, want %d at %s", account.Updates,
			account.LastUsedAt, want, start)
	}
}

// An account with the target of a delegation and an order publish at the same target. A value that
// both have is served until neither has it.
func TestACMEDNSValuesNextToChallenges(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	g, err := d.Delegation(t.Context(), d.org, dom.Name, nil)
	d.must(err)
	a, b := d.acmedns(d.org), d.acmedns(d.org)
	for _, one := range []*controlplane.ACMEDNSAccount{a, b} {
		d.publishACMEDNS(one, "before", start.Add(time.Hour))
		one.DelegationID, one.Target = g.ID, g.Target
		d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
			return tx.SaveACMEDNSAccount(t.Context(), one)
		}))
		d.wantServed(one.Subdomain)
	}
	z := newZone()
	d.follow(z)
	z.until(t, "commit")
	c := d.claim(j, "w")
	o := d.order(c)
	o.Values = txtAt(o, "both", "order")
	d.must(d.PublishChallenges(t.Context(), c, o, start.Add(time.Hour), start))
	d.publishACMEDNS(a, "both", start.Add(2*time.Hour))
	d.publishACMEDNS(b, "both", start.Add(3*time.Hour))
	d.publishACMEDNS(b, "client", start.Add(time.Hour))
	d.wantServed(g.Target, "both 180", "client 60", "order 60")
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.CloseOrder(t.Context(), o, controlplane.StepFailed, "", "", start)
	}))
	d.wantServed(g.Target, "both 180", "client 60")
	for _, one := range []*controlplane.ACMEDNSAccount{a, b} {
		d.must(d.RemoveACMEDNSValue(t.Context(), d.org, one.ID, "both"))
	}
	d.wantServed(g.Target, "client 60")
	last := ""
	for _, line := range z.until(t, "-c "+g.Target+" both") {
		if strings.Contains(line, " both") {
			last += line[:3]
		}
	}
	// By the order, a, and b; renewed by the ends of the order and of a; removed with b.
	if want := "+c +c +c +c +c -c "; last != want {
		t.Errorf("notifications of the value = %q, want %q", last, want)
	}
	accounts, err := d.ACMEDNSAccountsAt(t.Context(), d.org, g.ID, 10)
	if err != nil || len(accounts) != 2 || accounts[0].DelegationName != dom.Name {
		t.Errorf("ACMEDNSAccountsAt = %+v, %v, want two accounts of %s", accounts, err, dom.Name)
	}
}

// Accounts and keys of another organization are neither found nor changed, and an account cannot
// publish at another organization's target.
func TestACMEDNSOfOtherTenants(t *testing.T) {
	t.Parallel()
	d := open(t)
	other, ctx := d.organization(5), t.Context()
	a := d.acmedns(d.org)
	d.publishACMEDNS(a, "value", start.Add(time.Hour))
	key := &controlplane.ACMEDNSKey{ID: controlplane.NewID(controlplane.PrefixACMEDNSKey),
		OrgID: d.org, Name: "k", CreatedAt: start}
	in := func(fn func(tx *postgres.Tx) error) error { return d.InTx(ctx, fn) }
	d.must(in(func(tx *postgres.Tx) error { return tx.AddACMEDNSKey(ctx, key, []byte("hash")) }))
	state := func() string {
		return value[string](d, `SELECT string_agg(line, ' ' ORDER BY line) FROM (
			SELECT a::text AS line FROM acmedns_accounts a UNION ALL SELECT k::text FROM acmedns_keys k
			UNION ALL SELECT v::text FROM acmedns_values v UNION ALL SELECT t::text FROM targets t) x`)
	}
	before := state()
	stranger := *a
	stranger.OrgID, stranger.Description = other, "mine"
	for what, call := range map[string]func() error{
		"ACMEDNSAccount": func() error { _, err := d.ACMEDNSAccount(ctx, other, a.ID); return err },
		"LockACMEDNSAccount": func() error {
			return in(func(tx *postgres.Tx) error {
				_, err := tx.LockACMEDNSAccount(ctx, other, a.ID)
				return err
			})
		},
		"SaveACMEDNSAccount": func() error {
			return in(func(tx *postgres.Tx) error { return tx.SaveACMEDNSAccount(ctx, &stranger) })
		},
		"SetACMEDNSPassword": func() error {
			return in(func(tx *postgres.Tx) error {
				return tx.SetACMEDNSPassword(ctx, other, a.ID, []byte("x"), start)
			})
		},
		"DeleteACMEDNSAccount": func() error {
			return in(func(tx *postgres.Tx) error {
				return tx.DeleteACMEDNSAccount(ctx, other, a.ID)
			})
		},
		"PublishACMEDNSValue": func() error {
			_, err := d.PublishACMEDNSValue(ctx, other, a.ID, "theirs", start.Add(time.Hour), start)
			return err
		},
		"ACMEDNSKey": func() error { _, err := d.ACMEDNSKey(ctx, other, key.ID); return err },
		"CountRegistration": func() error {
			return in(func(tx *postgres.Tx) error {
				return tx.CountRegistration(ctx, other, key.ID, start)
			})
		},
		"DeleteACMEDNSKey": func() error {
			return in(func(tx *postgres.Tx) error {
				return tx.DeleteACMEDNSKey(ctx, other, key.ID)
			})
		},
	} {
		wantKind(t, what, call(), controlplane.KindNotFound)
	}
	d.must(d.RemoveACMEDNSValue(ctx, other, a.ID, "value"))
	if accounts, _, err := d.ListACMEDNSAccounts(ctx, other, nil, 10); err != nil ||
		len(accounts) != 0 {
		t.Errorf("ListACMEDNSAccounts = %v, %v, want none", accounts, err)
	}
	if keys, _, err := d.ListACMEDNSKeys(ctx, other, nil, 10); err != nil || len(keys) != 0 {
		t.Errorf("ListACMEDNSKeys = %v, %v, want none", keys, err)
	}
	for what, count := range map[string]func() (int, error){
		"ACMEDNSAccountCount": func() (int, error) { return d.ACMEDNSAccountCount(ctx, other, "") },
		"ACMEDNSKeyCount":     func() (int, error) { return d.ACMEDNSKeyCount(ctx, other, "") },
	} {
		if n, err := count(); err != nil || n != 0 {
			t.Errorf("%s = %d, %v, want 0", what, n, err)
		}
	}
	if after := state(); after != before {
		t.Errorf("state = %s, want %s", after, before)
	}

	// Even a row with another organization's target would not publish there.
	theirs := d.acmedns(other)
	d.exec(`ALTER TABLE acmedns_accounts DROP CONSTRAINT acmedns_accounts_target`)
	d.exec(`UPDATE acmedns_accounts SET target = $1 WHERE id = $2`, a.Target, theirs.ID)
	_, err := d.PublishACMEDNSValue(ctx, other, theirs.ID, "theirs", start.Add(time.Hour), start)
	wantKind(t, "PublishACMEDNSValue at another organization's target", err,
		controlplane.KindNotFound)
	d.wantServed(a.Target, "value 60")
}

// With its organization, an account can no longer be used, its target no longer exists, and its
// rows are removed.
func TestACMEDNSAccountsEndWithTheirOrganization(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	_, err := d.GrantRoles(ctx, d.rolePrefix())
	d.must(err)
	work := d.as(d.rolePrefix() + "_work")
	a := d.acmedns(d.org)
	d.publishACMEDNS(a, "value", start.Add(time.Hour))
	key := &controlplane.ACMEDNSKey{ID: "adk_a", OrgID: d.org, CreatedAt: start}
	d.must(d.InTx(ctx, func(tx *postgres.Tx) error {
		return tx.AddACMEDNSKey(ctx, key, []byte("hash"))
	}))
	if c, err := d.ACMEDNSCredential(ctx, a.Username); err != nil || c.AccountID != a.ID {
		t.Errorf("ACMEDNSCredential = %+v, %v, want that of %s", c, err, a.ID)
	}
	d.must(d.InTx(ctx, func(tx *postgres.Tx) error {
		return tx.EndOrganization(ctx, d.org, start)
	}))
	_, err = d.ACMEDNSCredential(ctx, a.Username)
	wantKind(t, "ACMEDNSCredential of a deleted organization", err, controlplane.KindNotFound)
	_, err = d.ACMEDNSKeyByHash(ctx, []byte("hash"))
	wantKind(t, "ACMEDNSKeyByHash of a deleted organization", err, controlplane.KindNotFound)
	d.wantServed(a.Target, "NXDOMAIN")
	for more := true; more; {
		if more, err = work.RemoveOrganization(ctx, d.org, 10); err != nil {
			t.Fatalf("RemoveOrganization as work = %v, want nil", err)
		}
	}
	if n := value[int](d, `SELECT (SELECT count(*) FROM acmedns_accounts) + (SELECT count(*) FROM acmedns_values)
		+ (SELECT count(*) FROM acmedns_keys) + (SELECT count(*) FROM targets)`); n != 0 {
		t.Errorf("rows after the removal = %d, want 0", n)
	}
}

// Workers remove expired values, and the values of an account, without access to its password.
func TestSweepACMEDNSValuesAsWork(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, err := d.GrantRoles(t.Context(), d.rolePrefix())
	d.must(err)
	work := d.as(d.rolePrefix() + "_work")
	a := d.acmedns(d.org)
	d.publishACMEDNS(a, "old", start)
	d.publishACMEDNS(a, "new", start.Add(time.Hour))
	d.must(work.SweepACMEDNSValues(t.Context(), start))
	if got := value[string](d, `SELECT string_agg(value, ' ') FROM acmedns_values`); got != "new" {
		t.Errorf("values after the sweep = %q, want new", got)
	}
	if _, err := work.ACMEDNSCredential(t.Context(), a.Username); err == nil ||
		!strings.Contains(err.Error(), "permission denied") {
		t.Errorf("ACMEDNSCredential as work = %v, want permission denied", err)
	}
}
