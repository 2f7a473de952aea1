package postgres_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// beat extends the lease of a replica.
func (d *db) beat(id string, number int64, lease time.Duration) {
	d.t.Helper()
	d.must(d.ExtendReplica(d.t.Context(), postgres.Replica{ID: id, Address: "192.0.2.1:53" + id,
		Beat: number, Received: number - 1}, lease))
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.beat("1", 1, time.Hour)
	d.beat("1", 2, time.Hour)
	d.beat("2", 1, 0)
	d.beat("3", 7, time.Hour)
	d.must(d.EndReplica(t.Context(), "3"))
	want := []postgres.Replica{
		{ID: "1", Address: "192.0.2.1:531", Beat: 2, Received: 1}}
	got, err := d.Replicas(t.Context())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Replicas differ (-want +got), %v:\n%s", err, diff)
	}
	d.exec(`UPDATE dns_replicas SET expires_at = now() - interval '1 s' WHERE id = '1'`)
	if got, err = d.Replicas(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("Replicas after the lease = %+v, %v, want none", got, err)
	}
	d.beat("2", 2, time.Hour)
	if n := value[int](d, `SELECT count(*) FROM dns_replicas`); n != 1 {
		t.Errorf("rows after a beat = %d, want 1, without that of the lost replica", n)
	}
	d.beat("1", 3, time.Hour) // it was only paused
	if got, err = d.Replicas(t.Context()); err != nil || len(got) != 2 {
		t.Errorf("Replicas after it returned = %+v, %v, want 2", got, err)
	}
}

// A heartbeat arrives through the feed after every change that was committed before it, and only
// from the time at which the replica listens.
func TestMarksFollowChanges(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.beat("1", 1, time.Hour)
	z := newZone()
	d.follow(z)
	z.until(t, "commit")
	dom, _ := d.add(d.org, "example.com")
	d.beat("1", 2, time.Hour)
	d.exec(`DELETE FROM domains`)
	d.beat("2", 1, time.Hour)
	want := []string{"begin", "commit", "+t " + dom.Target, "mark 1 2", "-t " + dom.Target, "mark 2 1"}
	if diff := cmp.Diff(want, z.until(t, "mark 2 1")); diff != "" {
		t.Errorf("the feed differs (-want +got):\n%s", diff)
	}
}

func TestLocalAddr(t *testing.T) {
	t.Parallel()
	d := open(t)
	if addr, err := d.LocalAddr(t.Context()); err != nil || addr != "" && addr != "127.0.0.1" {
		t.Errorf("LocalAddr = %q, %v, want 127.0.0.1, or nothing for a Unix socket", addr, err)
	}
}

// The probe's record goes to the name servers like a challenge, in the snapshot and as a change.
func TestProbeRecord(t *testing.T) {
	t.Parallel()
	d := open(t)
	expires := start.Add(time.Hour)
	label, unix := controlplane.ProbeTarget, strconv.FormatInt(expires.Unix(), 10)
	d.must(d.PublishProbe(t.Context(), "one", expires))
	z := newZone()
	d.follow(z)
	z.until(t, "commit")
	d.must(d.PublishProbe(t.Context(), "two", expires))
	want := []string{"begin", "target " + label, "value " + label + " one " + unix, "commit",
		"+t " + label, "-c " + label + " one", "+c " + label + " two " + unix}
	if diff := cmp.Diff(want, z.until(t, want[len(want)-1])); diff != "" {
		t.Errorf("the feed differs (-want +got):\n%s", diff)
	}
	exists, values, err := d.LookupTarget(t.Context(), label, start)
	if err != nil || !exists || len(values) != 1 || values[0].Value != "two" {
		t.Errorf("LookupTarget = %v, %v, %v, want the value two", exists, values, err)
	}
	if exists, values, err = d.LookupTarget(t.Context(), label, expires); err != nil || !exists ||
		len(values) != 0 {
		t.Errorf("LookupTarget after the expiry = %v, %v, %v, want no value", exists, values, err)
	}
}
