package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// zone is a feed that records its calls in order.
type zone struct {
	mu     sync.Mutex
	lines  []string
	signal chan struct{}
}

func newZone() *zone { return &zone{signal: make(chan struct{}, 1)} }

func (z *zone) add(format string, args ...any) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.lines = append(z.lines, fmt.Sprintf(format, args...))
	select {
	case z.signal <- struct{}{}:
	default:
	}
}

func (z *zone) feed() postgres.ZoneFeed {
	return postgres.ZoneFeed{
		Begin:          func() { z.add("begin") },
		SnapshotTarget: func(l string) { z.add("target %s", l) },
		SnapshotValue: func(c controlplane.Challenge) {
			z.add("value %s %s %d", c.Target, c.Value,
				c.ExpiresAt.Unix())
		},
		Commit:       func() { z.add("commit") },
		AddTarget:    func(l string) { z.add("+t %s", l) },
		RemoveTarget: func(l string) { z.add("-t %s", l) },
		AddChallenge: func(c controlplane.Challenge) {
			z.add("+c %s %s %d", c.Target, c.Value, c.ExpiresAt.Unix())
		},
		RemoveChallenge: func(l, v string) { z.add("-c %s %s", l, v) },
		Mark:            func(id string, beat int64) { z.add("mark %s %d", id, beat) },
	}
}

// until waits for the line and returns the recorded lines up to it.
func (z *zone) until(t *testing.T, line string) []string {
	t.Helper()
	for {
		z.mu.Lock()
		lines := slices.Clone(z.lines)
		z.mu.Unlock()
		if i := slices.Index(lines, line); i >= 0 {
			return lines[:i+1]
		}
		soon(t, line, z.signal)
	}
}

// follow follows the zone until the test ends or the returned function is called.
func (d *db) follow(z *zone) (ended <-chan error, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.FollowZone(ctx, func() time.Time { return start }, z.feed()) }()
	d.t.Cleanup(cancel)
	return done, cancel
}

func TestFollowZonePassesSnapshotThenChangesInOrder(t *testing.T) {
	t.Parallel()
	d := open(t)
	first, j := d.add(d.org, "first.example.com")
	second, _ := d.add(d.org, "second.example.com")
	c := d.claim(j, "w")
	o := d.order(c)
	publish := func(value string, expires time.Time) {
		t.Helper()
		o.Values = txtAt(o, value)
		d.must(d.PublishChallenges(t.Context(), c, o, expires, start))
	}
	expires := start.Add(time.Hour)
	publish("live", expires)
	publish("expired", start.Add(-time.Second))

	z := newZone()
	ended, stop := d.follow(z)
	snapshot := z.until(t, "commit")
	if snapshot[0] != "begin" || len(snapshot) != 5 {
		t.Errorf("the snapshot: %q", snapshot)
	}
	targets := slices.Sorted(slices.Values(snapshot[1:3]))
	if want := slices.Sorted(slices.Values([]string{"target " + first.Target, "target " +
		second.Target})); !slices.Equal(targets, want) {
		t.Errorf("targets %q, want %q", targets, want)
	}
	if want := fmt.Sprintf("value %s live %d", first.Target, expires.Unix()); snapshot[3] != want {
		t.Errorf("value %q, want %q", snapshot[3], want)
	}

	third, _ := d.add(d.org, "third.example.com")
	publish("new", expires)
	publish("new", expires.Add(time.Hour))
	d.must(d.InTx(t.Context(), func(tx *postgres.Tx) error {
		return tx.CloseOrder(t.Context(), o, controlplane.StepFailed, "", "", start)
	}))
	d.must(d.SaveDomain(t.Context(), second, start)) // no change of the zone
	d.must(d.DeleteDomain(t.Context(), d.org, second.ID))
	d.add(d.org, "second.example.com") // the same target again
	d.add(d.org, "last.example.com")
	last, err := d.Domain(t.Context(), d.org, "last.example.com")
	d.must(err)

	changes := z.until(t, "+t "+last.Target)[5:]
	for i, line := range changes {
		if strings.HasPrefix(line, "-c ") { // of one statement, in any order
			slices.Sort(changes[i : i+3])
			break
		}
	}
	want := []string{"+t " + third.Target,
		fmt.Sprintf("+c %s new %d", first.Target, expires.Unix()),
		fmt.Sprintf("+c %s new %d", first.Target, expires.Add(time.Hour).Unix()),
		"-c " + first.Target + " expired", "-c " + first.Target + " live", "-c " + first.Target +
			" new",
		"-t " + second.Target, "+t " + second.Target, "+t " + last.Target}
	if !slices.Equal(changes, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(changes, "\n"), strings.Join(want, "\n"))
	}
	stop()
	if err := soon(t, "the end", ended); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

// A change during the snapshot is in the snapshot or follows it.
func TestFollowZoneMissesNothingWhileItStarts(t *testing.T) {
	t.Parallel()
	d := open(t)
	zones := make([]*zone, 4)
	for i := range zones {
		zones[i] = newZone()
	}
	targets := make([]string, 40)
	for i := range targets {
		if i%10 == 5 {
			d.follow(zones[i/10])
		}
		dom, _ := d.add(d.org, fmt.Sprintf("d%d.example.com", i))
		targets[i] = dom.Target
	}
	last, _ := d.add(d.org, "last.example.com")
	for n, z := range zones {
		lines := z.until(t, "commit")
		// it started before the last domain was added
		if !slices.Contains(lines, "target "+last.Target) {
			lines = z.until(t, "+t "+last.Target)
		}
		for i, target := range targets {
			if !slices.Contains(lines, "target "+target) && !slices.Contains(lines, "+t "+target) {
				t.Errorf("replica %d was not told of domain %d", n, i)
			}
		}
	}
}

func TestFollowZoneEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	d := open(t)
	z := newZone()
	ended, _ := d.follow(z)
	z.until(t, "commit")
	d.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if err := soon(t, "the end", ended); !controlplane.HasCode(err, "database-unavailable") {
		t.Errorf("ended with %v", err)
	}
	again := newZone()
	d.follow(again)
	again.until(t, "commit")
}

// A malformed notification ends the feed, because its change would be missed.
func TestFollowZoneRejectsMalformedNotifications(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{"+x y", "+t", "+c a b not-a-time", ""} {
		d := open(t)
		z := newZone()
		ended, _ := d.follow(z)
		z.until(t, "commit")
		d.exec(`SELECT pg_notify('dcvaas_zone', $1)`, payload)
		if err := soon(t, "the end", ended); err == nil {
			t.Errorf("FollowZone after the notification %q = nil, want an error", payload)
		}
	}
}

func TestLookupTarget(t *testing.T) {
	t.Parallel()
	d := open(t)
	dom, j := d.add(d.org, "example.com")
	look := func(label string) (bool, []controlplane.Challenge) {
		t.Helper()
		exists, values, err := d.LookupTarget(t.Context(), label, start)
		d.must(err)
		return exists, values
	}
	if exists, values := look("none"); exists || values != nil {
		t.Errorf("no such target: %v, %+v", exists, values)
	}
	if exists, values := look(dom.Target); !exists || values != nil {
		t.Errorf("without challenges: %v, %+v", exists, values)
	}
	c := d.claim(j, "w")
	o := d.order(c)
	o.Values = txtAt(o, "a", "b")
	d.must(d.PublishChallenges(t.Context(), c, o, start.Add(time.Hour), start))
	o.Values = txtAt(o, "gone")
	d.must(d.PublishChallenges(t.Context(), c, o, start, start))
	exists, values := look(dom.Target)
	if len(values) == 2 && values[0].Value > values[1].Value {
		slices.Reverse(values)
	}
	if !exists || len(values) != 2 || values[0].Value != "a" || values[1].Value != "b" ||
		values[0].Target != dom.Target || !values[0].ExpiresAt.Equal(start.Add(time.Hour)) {
		t.Errorf("LookupTarget = %v, %+v, want a and b until %s", exists, values,
			start.Add(time.Hour))
	}
	d.must(d.DeleteDomain(t.Context(), d.org, dom.ID))
	if exists, _ := look(dom.Target); exists {
		t.Error("LookupTarget after the deletion = true, want false")
	}
}
