package api

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// follower reads a stream of events.
type follower struct {
	t      testing.TB
	lines  chan string
	status int
	header http.Header
	cut    context.CancelFunc
}

// follow opens a stream and returns when it is open.
func (w *world) follow(query, lastID string, options ...option) *follower {
	w.t.Helper()
	ctx, cut := context.WithCancel(w.t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", w.server.URL+"/api/events"+query, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	as(w.token)(r)
	r.Header.Set("Accept", "text/event-stream")
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	for _, o := range options {
		o(r)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	if got := resp.Header.Get("DCVaaS-API"); got != "1" {
		w.t.Errorf("a stream has DCVaaS-API = %q, want 1", got)
	}
	f := &follower{t: w.t, lines: make(chan string, 10_000), status: resp.StatusCode,
		header: resp.Header, cut: cut}
	w.t.Cleanup(cut)
	go func() {
		defer func() { _ = resp.Body.Close() }()
		defer close(f.lines)
		for s := bufio.NewScanner(resp.Body); s.Scan(); {
			f.lines <- s.Text()
		}
	}()
	return f
}

// next returns the next event's ID, type, and data, or "" if the stream has ended.
func (f *follower) next() (id, kind string, data map[string]any) {
	f.t.Helper()
	over := time.After(20 * time.Second)
	for {
		select {
		case line, open := <-f.lines:
			name, value, _ := strings.Cut(line, ": ")
			switch {
			case !open:
				return "", "", nil
			case name == "id":
				id = value
			case name == "event":
				kind = value
			case name == "data":
				if err := json.Unmarshal([]byte(value), &data); err != nil {
					f.t.Fatalf("%v in %s", err, value)
				}
			case line == "" && kind != "":
				return id, kind, data
			}
		case <-over:
			f.t.Fatal("no event comes")
		}
	}
}

// quiet fails the test if an event arrives within d.
func (f *follower) quiet(d time.Duration) {
	f.t.Helper()
	over := time.After(d)
	for {
		select {
		case line := <-f.lines:
			if strings.HasPrefix(line, "event: ") {
				f.t.Errorf("%s came", line)
			}
		case <-over:
			return
		}
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.newDomain(w.org, "before.example.com")
	f := w.follow("", "")
	if f.status != 200 || f.header.Get("Content-Type") != "text/event-stream" ||
		f.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("stream = %d %v, want 200, text/event-stream, no-store", f.status, f.header)
	}
	theirs := w.newOrg("Other")
	w.newDomain(theirs, "theirs.example.com")
	w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes()}) // no event
	d := w.newDomain(w.org, "after.example.com")
	id, kind, data := f.next()
	if kind != "domain.created" || data["id"] != id || data["type"] != kind ||
		data["organization_id"] != w.org || data["data"].(map[string]any)["domain_id"] != d.ID {
		t.Errorf("next event = %s %s %v, want domain.created of %s", id, kind, data, d.ID)
	}
	f.quiet(200 * time.Millisecond)

	// Streams can be resumed, filtered, and restricted to the token's domains.
	e := w.newDomain(w.org, "later.example.com")
	if _, _, data := w.follow("", id).next(); data["data"].(map[string]any)["domain_id"] != e.ID {
		t.Errorf("resumed with %v", data)
	}
	first := w.do("GET", "/api/events?limit=200", nil).is(200).ids()
	oldest := first[len(first)-1]
	if _, _, data := w.follow("?domain=later.example.com",
		oldest).next(); data["data"].(map[string]any)["domain_id"] != e.ID {
		t.Errorf("another domain's %v", data)
	}
	w.do("DELETE", "/api/domains/"+d.ID, nil).is(204)
	if _, kind, _ := w.follow("?type=domain.deleted", oldest).next(); kind != "domain.deleted" {
		t.Errorf("another type, %s", kind)
	}
	restricted := w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		DomainIDs: []string{e.ID}})
	g := w.follow("", oldest, as(restricted))
	if _, _, data := g.next(); data["data"].(map[string]any)["domain_id"] != e.ID {
		t.Errorf("a restricted token sees %v", data)
	}
	g.quiet(100 * time.Millisecond)

	if f := w.follow("", "evt_x"); f.status != 400 {
		t.Errorf("stream after a malformed ID = %d, want 400", f.status)
	}
	w.newDomain(theirs, "theirs2.example.com")
	entries, _, err := w.store.ListLog(t.Context(), theirs,
		postgres.LogFilter{EntityID: w.theirDomain(theirs), Limit: 1})
	if err != nil || len(entries) != 1 {
		t.Fatalf("ListLog = %v, %v, want 1 entry", entries, err)
	}
	if _, kind, data := w.follow("", entries[0].ID).next(); kind != "reset" {
		t.Errorf("stream after another organization's ID starts with %s %v, want reset", kind, data)
	}
	if f := w.follow("",
		"", as(w.newTokenElsewhere([]controlplane.Scope{"domains:read"}))); f.status != 403 {
		t.Errorf("%d without the scope", f.status)
	}
	if h := w.do("HEAD", "/api/events", nil,
		header("Accept", "text/event-stream")).is(200).header; h.Get(
		"Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %v", h)
	}
}

func (w *world) theirDomain(org string) string {
	w.t.Helper()
	d, err := w.store.Domain(w.t.Context(), org, "theirs2.example.com")
	if err != nil {
		w.t.Fatal(err)
	}
	return d.ID
}

// A stream is interrupted and resumed many times during concurrent transactions, some of them slow
// and some rolled back. Every event arrives exactly once, in the order of the log.
func TestStreamCutAndResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "cut.example.com")
	start := w.do("GET", "/api/events", nil).is(200).ids()[0]
	const writers, each = 6, 40
	var writing sync.WaitGroup
	for i := range writers {
		writing.Go(func() {
			for j := range each {
				err := w.store.InTx(t.Context(), func(tx *postgres.Tx) error {
					e := controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent),
						OrgID: w.org, Actor: controlplane.System("test"),
						Action:     controlplane.ActionDomainUpdated,
						EntityType: "domain", EntityID: d.ID, CreatedAt: time.Now(),
						Details: map[string]any{"mark": fmt.Sprintf("%d-%d", i, j),
							"vain": j%7 == 3}}
					if err := tx.Audit(t.Context(), e); err != nil {
						return err
					}
					// committed after some that came later
					time.Sleep(time.Duration((i*j)%9) * time.Millisecond)
					if j%7 == 3 {
						return context.Canceled
					}
					return nil
				})
				if (err != nil) != (j%7 == 3) {
					t.Errorf("transaction %d = %v, want an error: %v", j, err, j%7 == 3)
				}
			}
		})
	}
	var got []string
	last, want := start, w.writes(writers, each)
	for len(got) < want {
		f := w.follow("", last)
		for n := 0; n < 11 && len(got) < want; n++ {
			id, _, data := f.next()
			if id == "" {
				break
			}
			if data["data"].(map[string]any)["vain"] == true {
				t.Error("the stream sent an event that was rolled back")
			}
			got, last = append(got, id), id
		}
		f.cut()
	}
	writing.Wait()
	w.follow("", last).quiet(300 * time.Millisecond)
	entries, _, err := w.store.ListLog(t.Context(), w.org,
		postgres.LogFilter{EntityID: d.ID, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(entries,
		func(a, b controlplane.AuditEntry) int { return cmp.Compare(a.Seq, b.Seq) })
	var log []string
	for _, e := range entries {
		if e.Action == controlplane.ActionDomainUpdated {
			log = append(log, e.ID)
		}
	}
	if !slices.Equal(got, log) {
		t.Errorf("the stream sent %d of %d events, or not in their order", len(got), len(log))
	}
}

func (w *world) writes(writers, each int) int {
	n := 0
	for j := range each {
		if j%7 != 3 {
			n += writers
		}
	}
	return n
}

// An entry is committed after entries with a higher seq: the stream, the list, and a resumed stream
// wait for it.
func TestDelayedCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "delayed.example.com")
	f := w.follow("", "")
	for _, commit := range []bool{true, false} {
		begun, end, ended := make(chan string), make(chan struct{}), make(chan error)
		go func() {
			ended <- w.store.InTx(t.Context(), func(tx *postgres.Tx) error {
				e := controlplane.AuditEntry{ID: controlplane.NewID(controlplane.PrefixEvent),
					OrgID: w.org, Actor: controlplane.System("test"),
					Action: controlplane.ActionOrderCreated, EntityType: "domain", EntityID: d.ID,
					CreatedAt: time.Now()}
				if err := tx.Audit(t.Context(), e); err != nil {
					return err
				}
				begun <- e.ID
				<-end
				if !commit {
					return context.Canceled
				}
				return nil
			})
		}()
		slow := <-begun
		quick := w.logEntry(controlplane.ActionCheckRequested, d.ID, time.Now())
		f.quiet(300 * time.Millisecond)
		if ids := w.do("GET", "/api/events", nil).is(200).ids(); slices.Contains(ids, quick) ||
			slices.Contains(ids, slow) {
			t.Error("the list shows what is not settled")
		}
		if ids := w.do("GET", "/api/audit-logs", nil).is(200).ids(); !slices.Contains(ids, quick) {
			t.Error("the audit log waits, too")
		}
		close(end)
		if err := <-ended; (err == nil) != commit {
			t.Fatal(err)
		}
		want := []string{slow, quick}
		if !commit {
			want = want[1:]
		}
		for _, want := range want {
			if id, _, _ := f.next(); id != want {
				t.Errorf("%s came, want %s (committed: %v)", id, want, commit)
			}
		}
	}
}

// A slow reader is disconnected and loses no event.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sub, err := w.api.feeds.subscribe(t.Context(), w.org)
	if err != nil {
		t.Fatal(err)
	}
	d := w.newDomain(w.org, "slow.example.com")
	for range feedBuffer + 10 {
		w.logEntry(controlplane.ActionCheckRequested, d.ID, time.Now())
	}
	isCut := func() bool {
		w.api.feeds.mu.Lock()
		defer w.api.feeds.mu.Unlock()
		return len(sub.feed.subs) == 0
	}
	for over := time.Now().Add(20 * time.Second); !isCut(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(over) {
			t.Fatal("it is not cut off")
		}
	}
	n := 0
	for range sub.events {
		n++
	}
	if n != feedBuffer {
		t.Errorf("%d came, want what the buffer holds", n)
	}
	w.api.feeds.unsubscribe(sub)
	w.api.feeds.mu.Lock()
	defer w.api.feeds.mu.Unlock()
	if len(w.api.feeds.byOrg) != 0 {
		t.Error("its feed goes on")
	}
}

// A stream sends heartbeats, and ends with its token and when the server stops.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.heartbeat = 50 * time.Millisecond
	secret := w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes()})
	f := w.follow("", "", as(secret))
	for beats := 0; beats < 3; {
		if line, open := <-f.lines; !open {
			t.Fatal("it ended")
		} else if strings.HasPrefix(line, ":") {
			beats++
		}
	}
	token, err := w.store.TokenByHash(t.Context(), controlplane.HashSecret(secret))
	if err != nil {
		t.Fatal(err)
	}
	w.do("DELETE", "/api/tokens/"+token.ID, nil).is(204)
	if id, _, _ := f.next(); id != "" {
		t.Errorf("%s came", id)
	}
	g := w.follow("", "")
	w.api.SetStopping()
	if id, _, _ := g.next(); id != "" {
		t.Errorf("%s came", id)
	}
}

// All database connections are lost, including the one for notifications: the stream continues.
func TestStreamOutlivesTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.follow("", "")
	w.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	time.Sleep(100 * time.Millisecond)
	conn := w.connect()
	d := controlplane.NewID("dom")
	if _, err := conn.Exec(t.Context(),
		`INSERT INTO audit_logs (id, org_id, actor_type, action, entity_type, entity_id) VALUES ($1, $2, 'system', 'domain.created', 'domain', $3)`,
		controlplane.NewID("evt"), w.org, d); err != nil {
		t.Fatal(err)
	}
	if _, _, data := f.next(); data["data"].(map[string]any)["domain_id"] != d {
		t.Errorf("next event = %v, want one of domain %s", data, d)
	}
}

// The horizon stays below the entries of open transactions, even of those that are rolled back, and
// advances when they end.
func TestHorizon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	horizon := func() (int64, bool) {
		t.Helper()
		seq, settled, err := w.store.LogHorizon(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return seq, settled
	}
	before, settled := horizon()
	if before == 0 || !settled {
		t.Fatalf("horizon %d, settled %v", before, settled)
	}
	conn := w.connect()
	insert := `INSERT INTO audit_logs (id, org_id, actor_type, action) VALUES ('` // and an id
	for _, sql := range []string{"BEGIN", "SAVEPOINT a",
		insert + "evt_1', 'org', 'system', 'domain.x')", "ROLLBACK TO a",
		insert + "evt_2', 'org', 'system', 'domain.x')"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	w.logEntry("domain.y", "dom_y", time.Now())
	if seq, settled := horizon(); seq >= before+2 || settled {
		t.Errorf("horizon %d after %d while a transaction appends, settled %v", seq, before,
			settled)
	}
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if seq, settled := horizon(); seq != before+3 || !settled {
		t.Errorf("horizon %d after %d and three more, settled %v", seq, before, settled)
	}
	// The next transaction of the same connection has its own floor.
	for _, sql := range []string{"BEGIN", insert + "evt_3', 'org', 'system', 'domain.x')"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if seq, settled := horizon(); seq != before+3 || settled {
		t.Errorf("horizon %d, settled %v", seq, settled)
	}
	_ = conn.Close(t.Context()) // as when a process dies
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, settled := horizon(); settled {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a dead transaction holds readers up")
		}
	}
}
