package api

import (
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// summaryOf returns the status_summary of a domain.
func (a *answer) summaryOf(t *testing.T) (d Domain) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// The summary of a domain is the same alone and in a list. It changes by time alone, and the ETag
// with it; the version in the ETag stays valid for If-Match.
func TestStatusSummary(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	w := newWorld(t, func(c *Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	d := w.newDomain(w.org, "summary.example.com")
	path := "/api/domains/" + d.ID
	s := w.do("GET", path, nil).is(200).summaryOf(t).StatusSummary
	want := d.Summary(time.Now())
	if string(s.State) != "waiting" || s.Headline != want.Headline || s.Cause != want.Cause ||
		s.NextStep != want.NextStep || s.Reason != string(want.Reason) || s.Actor != "customer" {
		t.Errorf("status_summary = %+v, want %+v", s, want)
	}
	if next := s.NextEvent.MustGet(); next.What != "dns_check" || !next.At.Equal(want.Next.At) {
		t.Errorf("next_event = %+v, want %+v", next, want.Next)
	}
	var list DomainList
	if err := json.Unmarshal([]byte(w.do("GET", "/api/domains", nil).is(200).body),
		&list); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, list.Data[0].StatusSummary); diff != "" {
		t.Errorf("the list differs (-domain +list):\n%s", diff)
	}

	c := w.newCertificate(d, false)
	w.exec(`UPDATE domains SET status = 'active', certificate_id = $2, last_issued_at = now(),
		expires_at = $3, renew_at = $4, conditions = '[]' WHERE id = $1`, d.ID, c.ID, c.NotAfter,
		controlplane.RenewAt(c.NotBefore, c.NotAfter))
	a := w.do("GET", path, nil).is(200)
	tag := a.header.Get("ETag")
	if got := a.summaryOf(t).StatusSummary; got.State != "active" || got.Actor != "none" {
		t.Errorf("status_summary = %+v, want active, and no actor", got)
	}
	ahead.Store(int64(time.Until(c.NotAfter)))
	a = w.do("GET", path, nil, header("If-None-Match", tag)).is(200)
	if got := a.summaryOf(t).StatusSummary; got.State != "expired" {
		t.Errorf("status_summary after the expiry = %+v, want expired", got)
	}
	w.do("PATCH", path, map[string]any{"auto_renew": false}, header("If-Match", tag)).is(200)
}
