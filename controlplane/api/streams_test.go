package api

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

func limitStreams(c *Config) { c.Streams = edge.NewStreams() }

// place reports whether the caller could open one more stream: HEAD takes a place and releases it.
func (w *world) place(caller option) *answer {
	w.t.Helper()
	return w.do("HEAD", "/api/events", nil, caller, header("Accept", edge.MediaEvents))
}

// full waits until the caller has reached its limit of streams.
func (w *world) full(caller option) {
	w.t.Helper()
	for over := time.Now().Add(20 * time.Second); w.place(
		caller).status != http.StatusTooManyRequests; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(over) {
			w.t.Fatal("one more stream is still accepted")
		}
	}
}

// Streams and held calls count together, for each credential and for the organization, without
// effect on others.
func TestTooManyStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limitStreams)
	limit := controlplane.TierFree.StreamLimit()
	one, two, three := as(w.token),
		as(w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes()})),
		w.person(w.org, controlplane.RoleMember).cookie
	d := w.newDomain(w.org, "streams.example.com")
	var streams []*follower
	for range limit.Credential {
		f := w.follow("", "", one)
		if f.status != http.StatusOK {
			t.Fatalf("stream %d was answered %d, want 200", len(streams)+1, f.status)
		}
		streams = append(streams, f)
	}
	if f := w.follow("", "", one); f.status != http.StatusTooManyRequests {
		t.Errorf("stream %d was answered %d, want 429", limit.Credential+1, f.status)
	}
	a := w.do("GET", "/api/domains/"+d.ID+"?wait=1s", nil, one).problem(http.StatusTooManyRequests,
		"too-many-streams")
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	if at, terr := time.Parse(time.RFC3339, a.string("retry_at")); err != nil || terr != nil ||
		wait < 1 || time.Until(at) > time.Minute {
		t.Errorf("Retry-After %q, retry_at %q", a.header.Get("Retry-After"), a.string("retry_at"))
	}
	w.do("GET", "/api/domains/"+d.ID, nil, one).is(http.StatusOK) // what is not held is not counted
	w.do("GET", "/api/events", nil, one).is(http.StatusOK)

	// Calls with wait use the other half.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	held := make(chan int, limit.Organization)
	for range limit.Organization - limit.Credential {
		go func() {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+"/api/domains/"+
				d.ID+"?wait=60s", nil)
			if err != nil {
				t.Error(err)
				return
			}
			two(r)
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				held <- 0
				return
			}
			_ = resp.Body.Close()
			held <- resp.StatusCode
		}()
	}
	w.full(two)
	w.full(three) // the organization's
	w.do("GET", "/api/domains/"+d.ID+"?wait=1s", nil, three).problem(http.StatusTooManyRequests,
		"too-many-streams")
	if a := w.place(as(w.newTokenElsewhere(controlplane.Scopes()))); a.status != http.StatusOK {
		t.Errorf("a stream of another organization was answered %d, want 200", a.status)
	}

	// A closed stream frees its place.
	w.do("PATCH", "/api/domains/"+d.ID, map[string]any{"auto_issue": false}, one).is(http.StatusOK)
	for range limit.Organization - limit.Credential {
		if status := <-held; status != http.StatusOK {
			t.Errorf("a held call was answered %d, want 200", status)
		}
	}
	streams[0].cut()
	for over := time.Now().Add(20 * time.Second); w.place(one).status != http.StatusOK; time.Sleep(
		10 * time.Millisecond) {
		if time.Now().After(over) {
			t.Fatal("a stream that was closed keeps its place")
		}
	}
	w.place(three).is(http.StatusOK)
}

// A session has the limit of a credential, too, and a failed call releases its place.
func TestTooManyStreamsOfASession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, limitStreams)
	p := w.person(w.org, controlplane.RoleMember)
	n := controlplane.TierFree.StreamLimit().Credential
	for range 2 * n {
		w.follow("", "evt_x", p.cookie) // rejected: a malformed ID
	}
	for i := range n {
		if f := w.follow("", "", p.cookie); f.status != http.StatusOK {
			t.Fatalf("stream %d was answered %d, want 200", i+1, f.status)
		}
	}
	if f := w.follow("", "", p.cookie); f.status != http.StatusTooManyRequests {
		t.Errorf("stream %d was answered %d, want 429", n+1, f.status)
	}
}
