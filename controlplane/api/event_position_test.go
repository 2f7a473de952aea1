package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// position returns the next ID that comes without an event.
func (f *follower) position() string {
	f.t.Helper()
	id, event := "", false
	over := time.After(20 * time.Second)
	for {
		select {
		case line, open := <-f.lines:
			if !open {
				f.t.Fatal("the stream has ended")
			}
			name, value, _ := strings.Cut(line, ": ")
			switch name {
			case "id":
				id = value
			case "event":
				event = true
			}
			if line == "" {
				if id != "" && !event {
					return id
				}
				id, event = "", false
			}
		case <-over:
			f.t.Fatal("no position comes")
		}
	}
}

// A reader that has received no event resumes with the position of the start.
func TestStreamStartsWithAPosition(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, query := range []string{"", "?type=domain.deleted"} {
		f := w.follow(query, "")
		start := f.position()
		f.cut()
		d := w.newDomain(w.org, unusedName())
		w.do("DELETE", "/api/domains/"+d.ID, nil).is(http.StatusNoContent)
		_, kind, data := w.follow(query, start).next()
		if got := data["data"].(map[string]any)["domain_id"]; got != d.ID ||
			query != "" && kind != "domain.deleted" {
			t.Errorf("events%s resumes with %s of %v, want an event of %s", query, kind, got, d.ID)
		}
		if got := w.follow(query, start).position(); got != start {
			t.Errorf("a resumed stream starts with the position %s, want %s", got, start)
		}
		// The list has the same events.
		list := w.do("GET", "/api/events"+query, nil, header("Last-Event-ID", start)).is(200)
		if n := len(list.ids()); n == 0 || query != "" && n != 1 {
			t.Errorf("the list after the position has %d events", n)
		}
	}
	w.do("GET", "/api/events?limit=1", nil, header("Last-Event-ID", "x")).problem(400,
		"invalid-parameter")
}

// Heartbeats carry the position of a reader whose filter matches nothing, so it does not become
// older than the log.
func TestHeartbeatsCarryThePosition(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.heartbeat = 20 * time.Millisecond
	f := w.follow("?type=domain.deleted", "")
	start := f.position()
	skipped := w.newDomain(w.org, "skipped.example.com")
	at := start
	for w.seqOf(at) == w.seqOf(start) {
		at = f.position()
	}
	w.follow("?domain="+skipped.ID, at).quiet(100 * time.Millisecond)
	later := w.newDomain(w.org, "later.example.com")
	if _, _, data := w.follow("", at).next(); data["data"].(map[string]any)["domain_id"] !=
		later.ID {
		t.Errorf("the stream resumes with %v, want an event of %s", data, later.ID)
	}
}

// seqOf returns the seq of a position in the world's organization.
func (w *world) seqOf(id string) string {
	w.t.Helper()
	at, ok := w.api.cursors.Decode(positionOf(w.org), id)
	if !ok {
		w.t.Fatalf("%s is not a position", id)
	}
	return at.Key
}

// A reader whose position is older than the log gets the event reset and then live events, and the
// list is 410.
func TestExpiredPosition(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	position := func(org string, age time.Duration) string {
		return w.api.cursors.Encode(positionOf(org), edge.Position{Key: "1",
			ID: strconv.FormatInt(time.Now().Add(-age).Unix(), 10)})
	}
	kept := controlplane.TierFree.LogKept()
	w.newDomain(w.org, "before.example.com")
	for _, id := range []string{position(w.org, kept),
		controlplane.NewID(controlplane.PrefixEvent)} {
		f := w.follow("", id)
		if f.status != http.StatusOK {
			t.Fatalf("a stream after %s = %d, want 200", id, f.status)
		}
		at, kind, data := f.next()
		if kind != "reset" || data["code"] != "event-id-expired" || data["fix"] == nil ||
			data["type"] != "https://dcvaas.test/problems/event-id-expired" {
			t.Errorf("a stream after %s starts with %s %v, want reset", id, kind, data)
		}
		d := w.newDomain(w.org, unusedName())
		for _, next := range []*follower{f, w.follow("", at)} {
			if _, kind, data := next.next(); kind != "domain.created" ||
				data["data"].(map[string]any)["domain_id"] != d.ID {
				t.Errorf("after the reset comes %s %v, want domain.created of %s", kind, data, d.ID)
			}
		}
		w.do("GET", "/api/events", nil, header("Last-Event-ID", id)).problem(http.StatusGone,
			"event-id-expired")
	}
	recent := w.do("GET", "/api/events?limit=200", nil,
		header("Last-Event-ID", position(w.org, kept-2*positionMargin))).is(http.StatusOK)
	if !slices.Equal(recent.ids(), w.do("GET", "/api/events?limit=200", nil).ids()) {
		t.Error("the list after the first position differs from the list")
	}
	if f := w.follow("", position(w.newOrg("Other"), 0)); f.status != http.StatusBadRequest {
		t.Errorf("a stream after another organization's position = %d, want 400", f.status)
	}
}

// Filters by a type that does not exist are errors that name the most similar one.
func TestUnknownTypes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.newEstate(w.org, "types.example.com")
	deliveries := "/api/webhooks/" + e.webhook.ID + "/deliveries"
	for path, nearest := range map[string]string{
		"/api/events?type=domain.renewd":              "domain.renewed",
		"/api/events?type=token.created":              "", // no event
		"/api/audit-logs?action=tokens.created":       "token.created",
		"/api/audit-logs/export?action=domain":        "",
		deliveries + "?type=webhook.tests":            "webhook.test",
		"/api/jobs?type=nonsense":                     "",
		"/api/domains?status=nonsense":                "",
		"/api/events?type=" + strings.Repeat("é", 60): "",
	} {
		a := w.do("GET", path, nil)
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, nearest) {
			t.Errorf("GET %s = %d %s, want 400 with %q", path, a.status, a.body, nearest)
		}
	}
	for _, path := range []string{"/api/events?type=", "/api/events?type=webhook.created",
		"/api/audit-logs?action=session.started", deliveries + "?type=webhook.test"} {
		w.do("GET", path, nil).is(http.StatusOK)
	}
}
