package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// entry appends an entry to the log, dated the given time after start.
func (d *db) entry(
	org, action, entityType, entityID string, after time.Duration, details map[string]any,
) string {
	d.t.Helper()
	a := controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent), OrgID: org,
		Actor:  controlplane.Actor{Type: controlplane.ActorUser, ID: "usr_" + entityType},
		Action: action, EntityType: entityType, EntityID: entityID, Details: details,
		CreatedAt: start.Add(after)}
	d.must(d.Audit(d.t.Context(), a))
	return a.ID
}

// log creates a log of six entries about two domains, and one of another organization. It returns
// short names by the entries' IDs.
func (d *db) log() (names map[string]string) {
	names = map[string]string{}
	for i, e := range []struct {
		org, action, kind, id string
		details               map[string]any
	}{
		{d.org, "domain.created", "domain", "dom_a", nil},
		{d.org, "domain.created", "domain", "dom_b", nil},
		{d.org, "token.created", "token", "tok_a", nil},
		{d.org, "certificate.revoked", "certificate",
			"crt_a", map[string]any{"domain_id": "dom_a"}},
		{d.org, "job.dead_lettered", "job", "job_b", map[string]any{"domain_id": "dom_b"}},
		{d.org, "domain.certificate_expiring", "domain", "dom_a", nil},
		{d.organization(1), "domain.created", "domain", "dom_a", nil},
	} {
		names[d.entry(e.org, e.action, e.kind, e.id, time.Duration(i)*time.Minute,
			e.details)] = fmt.Sprint(i)
	}
	return names
}

func TestListLogFilters(t *testing.T) {
	t.Parallel()
	d := open(t)
	names := d.log()
	at := func(minutes int) *time.Time {
		v := start.Add(time.Duration(minutes) * time.Minute)
		return &v
	}
	for what, tt := range map[string]struct {
		filter postgres.LogFilter
		want   []string
	}{
		"all": {postgres.LogFilter{}, []string{"5", "4", "3", "2", "1", "0"}},
		"oldest first": {postgres.LogFilter{Oldest: true},
			[]string{"0", "1", "2", "3", "4", "5"}},
		"by action": {postgres.LogFilter{Action: "domain.created"},
			[]string{"1", "0"}},
		"by actor":       {postgres.LogFilter{ActorID: "usr_token"}, []string{"2"}},
		"of an entity":   {postgres.LogFilter{EntityID: "dom_a"}, []string{"5", "0"}},
		"about a domain": {postgres.LogFilter{DomainID: "dom_a"}, []string{"5", "3", "0"}},
		"about some": {postgres.LogFilter{DomainIDs: []string{"dom_b", "dom_c"}},
			[]string{"4", "1"}},
		"about none":       {postgres.LogFilter{DomainIDs: []string{}}, nil},
		"since, inclusive": {postgres.LogFilter{Since: at(4)}, []string{"5", "4"}},
		"until, exclusive": {postgres.LogFilter{Until: at(1)}, []string{"0"}},
		"between, about, oldest": {postgres.LogFilter{Since: at(1), Until: at(5),
			DomainID: "dom_b", Oldest: true}, []string{"1", "4"}},
	} {
		for _, limit := range []int{1, 2, 10} {
			f, got := tt.filter, []string(nil)
			for f.Limit = limit; ; {
				items, next, err := d.ListLog(t.Context(), d.org, f)
				d.must(err)
				for _, a := range items {
					got = append(got, names[a.ID])
				}
				if f.After = next; next == nil {
					break
				}
				if len(items) != limit {
					t.Errorf("%s: a page of %d that is not the last has %d", what, limit,
						len(items))
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s, %d at a time: %q, want %q", what, limit, got, tt.want)
			}
		}
	}
}

func TestEventsInTheOrderOfTheLog(t *testing.T) {
	t.Parallel()
	d := open(t)
	names := d.log()
	horizon, settled, err := d.LogHorizon(t.Context())
	if err != nil || !settled {
		t.Fatalf("LogHorizon = %d, %v, %v, want it settled", horizon, settled, err)
	}
	var second int64
	for id, name := range names {
		if name == "1" {
			second, err = d.EntrySeq(t.Context(), d.org, id)
			d.must(err)
		}
	}
	for what, tt := range map[string]struct {
		filter postgres.EventFilter
		want   []string
	}{
		"all": {postgres.EventFilter{UpTo: horizon}, []string{"0", "1", "3", "4", "5"}},
		"newest first": {postgres.EventFilter{UpTo: horizon, Newest: true},
			[]string{"5", "4", "3", "1", "0"}},
		"after": {postgres.EventFilter{UpTo: horizon, After: second},
			[]string{"3", "4", "5"}},
		"up to": {postgres.EventFilter{UpTo: second}, []string{"0", "1"}},
		"of a type": {postgres.EventFilter{UpTo: horizon,
			Type: controlplane.ActionCertificateEnding}, []string{"5"}},
		"about a domain": {postgres.EventFilter{UpTo: horizon, DomainID: "dom_b"},
			[]string{"1", "4"}},
		"about some": {postgres.EventFilter{UpTo: horizon, DomainIDs: []string{"dom_a"}},
			[]string{"0", "3", "5"}},
	} {
		tt.filter.Limit = 10
		items, err := d.Events(t.Context(), d.org, tt.filter)
		d.must(err)
		var got []string
		for _, a := range items {
			got = append(got, names[a.ID])
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", what, got, tt.want)
		}
	}
	_, err = d.EntrySeq(t.Context(), d.org, "evt_none")
	wantKind(t, "no such entry", err, controlplane.KindNotFound)
}

// Entries that may still be committed are beyond the horizon.
func TestLogHorizonWaitsForWriters(t *testing.T) {
	t.Parallel()
	d := open(t)
	before := d.entry(d.org, "domain.created", "domain", "dom_a", 0, nil)
	slow, err := d.conn().Begin(t.Context())
	d.must(err)
	_, err = slow.Exec(t.Context(),
		`INSERT INTO audit_logs (id, org_id, actor_type, action) VALUES ('evt_slow', $1, 'system', 'domain.updated')`, d.org)
	d.must(err)
	after := d.entry(d.org, "domain.deleted", "domain", "dom_a", 0, nil)
	ids := func() (out []string) {
		horizon, _, err := d.LogHorizon(t.Context())
		d.must(err)
		items, err := d.Events(context.Background(), d.org,
			postgres.EventFilter{UpTo: horizon, Limit: 10})
		d.must(err)
		for _, a := range items {
			out = append(out, a.ID)
		}
		return out
	}
	if got := ids(); !slices.Equal(got, []string{before}) {
		t.Errorf("with a writer in progress: %q", got)
	}
	if _, settled, err := d.LogHorizon(t.Context()); settled || err != nil {
		t.Errorf("settled: %v, %v", settled, err)
	}
	d.must(slow.Commit(t.Context()))
	if got := ids(); !slices.Equal(got, []string{before, "evt_slow", after}) {
		t.Errorf("afterwards: %q", got)
	}
}
