package lifecycle_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// hosts is a fake of a DNS host with the zones example.com and sub.example.com, or others.
type hosts struct {
	zones   []string // instead
	records func(zone, name string) ([]controlplane.RecordSet, error)
	create  func(controlplane.HostRecord, []controlplane.RecordSet) (string, error)
	remove  func(controlplane.HostRecord) error
	test    func() error // nil: accepts the credentials
	calls   atomic.Int64
}

// Zones implements lifecycle.DNSHosts.
func (h *hosts) Zones(context.Context, controlplane.HostAccess) ([]string, error) {
	if h.zones != nil {
		return h.zones, nil
	}
	return []string{"example.com", "sub.example.com"}, nil
}

// Test implements lifecycle.DNSHosts.
func (h *hosts) Test(context.Context, controlplane.HostAccess) error {
	if h.test != nil {
		return h.test()
	}
	return nil
}

// Create implements lifecycle.DNSHosts.
func (h *hosts) Create(
	_ context.Context, _ controlplane.HostAccess, r controlplane.HostRecord,
	replace []controlplane.RecordSet,
) (string, error) {
	return h.create(r, replace)
}

// Remove implements lifecycle.DNSHosts.
func (h *hosts) Remove(
	_ context.Context, _ controlplane.HostAccess, r controlplane.HostRecord,
) error {
	return h.remove(r)
}

// Records implements lifecycle.DNSHosts.
func (h *hosts) Records(
	_ context.Context, _ controlplane.HostAccess, zone, name string,
) ([]controlplane.RecordSet, error) {
	h.calls.Add(1)
	return h.records(zone, name)
}

func (w *world) connection() *controlplane.Connection {
	w.t.Helper()
	c, err := w.CreateConnection(w.t.Context(), alice, w.org, lifecycle.NewConnection{
		Type: controlplane.ConnectionRFC2136, Name: "ns1", Credentials: []byte(`{"server":` +
			`"ns1.example.com","key_name":"k","key_secret":"c2VjcmV0LXNlY3JldC1zZWNyZXQ=",` +
			`"zones":["example.com","sub.example.com"]}`)})
	must(w.t, err)
	return c
}

// A plan has the exact change of each name, and what prevents it.
func TestPlanRecords(t *testing.T) {
	t.Parallel()
	h := &hosts{}
	w := newWorld(t, func(c *lifecycle.Config) { c.DNSHosts = h })
	c := w.connection()
	record := func(name string) controlplane.Record {
		return controlplane.NewRecord(name, "label", zone)
	}
	set := func(name, kind string, values ...string) controlplane.RecordSet {
		return controlplane.RecordSet{Name: record(name).Name, Type: kind, Values: values}
	}
	at := map[string][]controlplane.RecordSet{
		record("right.example.com").Name: {set("right.example.com", "CNAME", "LABEL."+zone+".")},
		record("txt.example.com").Name:   {set("txt.example.com", "TXT", `"x"`, `"y"`)},
	}
	h.records = func(z, name string) ([]controlplane.RecordSet, error) {
		if want := controlplane.ZoneOf(name, []string{"example.com", "sub.example.com"}); z != want {
			return nil, fmt.Errorf("the zone of %s is %s, want %s", name, z, want)
		}
		if name == record("cut.example.com").Name {
			return nil, &controlplane.HostError{Kind: controlplane.HostNoZone, Message: "A cut."}
		}
		return at[name], nil
	}
	var records []controlplane.Record
	for _, name := range []string{"new.example.com", "a.sub.example.com", "right.example.com",
		"txt.example.com", "cut.example.com", "example.org"} {
		records = append(records, record(name))
	}
	got, err := w.PlanRecords(t.Context(), w.org, c.ID, records)
	must(t, err)
	change := func(zoneName, name string, action controlplane.RecordAction,
		before ...controlplane.RecordSet,
	) controlplane.RecordChange {
		return controlplane.RecordChange{Zone: zoneName, Name: record(name).Name, Action: action,
			Before: before, After: set(name, "CNAME", "label."+zone+".")}
	}
	txt := at[record("txt.example.com").Name]
	want := &controlplane.RecordPlan{ConnectionID: c.ID, Changes: []controlplane.RecordChange{
		change("example.com", "new.example.com", controlplane.RecordCreate),
		change("sub.example.com", "a.sub.example.com", controlplane.RecordCreate),
		change("example.com", "right.example.com", controlplane.RecordNone,
			at[record("right.example.com").Name]...),
		change("example.com", "txt.example.com", controlplane.RecordReplace, txt...),
	}, Conflicts: []controlplane.RecordConflict{
		{Name: record("txt.example.com").Name, Kind: controlplane.HostConflict,
			Message: "_acme-challenge.txt.example.com has other records at the DNS host: 2 TXT.",
			Found:   txt},
		{Name: record("cut.example.com").Name, Kind: controlplane.HostNoZone, Message: "A cut."},
		{Name: record("example.org").Name, Kind: controlplane.HostNoZone, Message: "The " +
			"connection has no zone that contains _acme-challenge.example.org."},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("PlanRecords() (-want +got)\n%s", diff)
	}
	again, err := w.PlanRecords(t.Context(), w.org, c.ID, records)
	if err != nil || again.Digest() != got.Digest() {
		t.Errorf("PlanRecords() again = %v, %v, want the same digest", again, err)
	}
	at[record("new.example.com").Name] = []controlplane.RecordSet{set("new.example.com", "A", "::")}
	if again, err = w.PlanRecords(t.Context(), w.org, c.ID, records); err != nil ||
		again.Digest() == got.Digest() {
		t.Errorf("PlanRecords() after a change = %v, %v, want another digest", again, err)
	}
	_, err = w.PlanRecords(t.Context(), w.organization(1), c.ID, records)
	if !controlplane.IsKind(err, controlplane.KindNotFound) {
		t.Errorf("PlanRecords() with another organization's connection = %v, want not found", err)
	}
}

// A host that does not respond ends a plan, without a lookup for each name.
func TestPlanRecordsUnreachable(t *testing.T) {
	t.Parallel()
	h := &hosts{records: func(string, string) ([]controlplane.RecordSet, error) {
		return nil, &controlplane.HostError{Kind: controlplane.HostUnreachable, Message: "No response."}
	}}
	w := newWorld(t, func(c *lifecycle.Config) { c.DNSHosts = h })
	var records []controlplane.Record
	for i := range 100 {
		records = append(records,
			controlplane.NewRecord(fmt.Sprintf("n%d.example.com", i), "label", zone))
	}
	_, err := w.PlanRecords(t.Context(), w.org, w.connection().ID, records)
	if !controlplane.HasCode(err, controlplane.CodeHostUnreachable) {
		t.Errorf("PlanRecords() = %v, want %s", err, controlplane.CodeHostUnreachable)
	}
	if n := h.calls.Load(); n > 50 {
		t.Errorf("PlanRecords() made %d lookups after a failure, want few", n)
	}

	// A host whose responses take longer than a plan may take is the same.
	h.records = func(string, string) ([]controlplane.RecordSet, error) {
		return nil, context.DeadlineExceeded
	}
	_, err = w.PlanRecords(t.Context(), w.org, w.connection().ID, records)
	if !controlplane.HasCode(err, controlplane.CodeHostUnreachable) {
		t.Errorf("PlanRecords() without time = %v, want %s", err, controlplane.CodeHostUnreachable)
	}
}
