package api

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// feedBuffer is how many events a reader may be behind before it is cut off.
	feedBuffer = 256
	feedPage   = 500
	// feedUnsettled is when the log is looked at again while a transaction holds it up.
	feedUnsettled = 50 * time.Millisecond
	// feedIdle is when it is looked at without having been told.
	feedIdle = 15 * time.Second
	feedRest = time.Second // after an error
)

// feeds read the log once for all streams of an organization in this process, woken by
// Postgres (Store.Watch). A feed lives as long as it has a subscription.
type feeds struct {
	store *postgres.Store
	log   *slog.Logger
	ctx   context.Context // ends with the API
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu    sync.Mutex
	byOrg map[string]*feed
}

// feed is what is read of one organization's log. Its fields are guarded by feeds.mu.
type feed struct {
	org  string
	at   int64 // every event up to this seq was handed out
	subs map[*subscription]struct{}
	stop context.CancelFunc
}

// subscription is one stream's. Every event after from comes by events, in order; it is
// closed when the reader has fallen behind.
type subscription struct {
	feed   *feed
	from   int64
	events chan *controlplane.AuditEntry
}

func newFeeds(store *postgres.Store, log *slog.Logger) *feeds {
	ctx, stop := context.WithCancel(context.Background())
	return &feeds{store: store, log: log, ctx: ctx, stop: stop, byOrg: make(map[string]*feed)}
}

func (fs *feeds) close() {
	fs.stop()
	fs.done.Wait()
}

func (fs *feeds) subscribe(ctx context.Context, org string) (*subscription, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.byOrg[org]
	if f == nil {
		fs.mu.Unlock()
		at, _, err := fs.store.LogHorizon(ctx)
		fs.mu.Lock()
		if err != nil {
			return nil, err
		}
		if f = fs.byOrg[org]; f == nil { // nobody was faster
			f = fs.start(org, at)
		}
	}
	s := &subscription{feed: f, from: f.at, events: make(chan *controlplane.AuditEntry, feedBuffer)}
	f.subs[s] = struct{}{}
	return s, nil
}

func (fs *feeds) unsubscribe(s *subscription) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.drop(s)
}

// drop removes a subscription, and its feed with the last one. fs.mu is held.
func (fs *feeds) drop(s *subscription) {
	delete(s.feed.subs, s)
	if len(s.feed.subs) == 0 && fs.byOrg[s.feed.org] == s.feed {
		delete(fs.byOrg, s.feed.org)
		s.feed.stop()
	}
}

// start begins to read an organization's log behind at. fs.mu is held.
func (fs *feeds) start(org string, at int64) *feed {
	ctx, stop := context.WithCancel(fs.ctx)
	f := &feed{org: org, at: at, subs: make(map[*subscription]struct{}), stop: stop}
	fs.byOrg[org] = f
	fs.done.Go(func() { fs.run(ctx, f) })
	return f
}

func (fs *feeds) run(ctx context.Context, f *feed) {
	moved, stop := fs.store.Watch(f.org)
	defer stop()
	for {
		settled, err := fs.read(ctx, f)
		again := feedIdle
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			fs.log.LogAttrs(ctx, slog.LevelWarn, "events are held up", slog.Any("error", err))
			again = feedRest
		case !settled:
			again = feedUnsettled
		}
		wait := time.NewTimer(again)
		select {
		case <-moved:
		case <-wait.C:
		case <-ctx.Done():
		}
		wait.Stop()
	}
}

// read hands out what is new up to the horizon. It returns false where there is more behind
// that, which nobody need tell of: a transaction that is rolled back tells nothing.
func (fs *feeds) read(ctx context.Context, f *feed) (settled bool, err error) {
	horizon, settled, err := fs.store.LogHorizon(ctx)
	if err != nil {
		return false, err
	}
	for at := f.at; at < horizon; { // only this goroutine writes it
		entries, err := fs.store.Events(ctx, f.org, postgres.EventFilter{After: at, UpTo: horizon, Limit: feedPage})
		if err != nil {
			return false, err
		}
		at = horizon
		if len(entries) == feedPage {
			at = entries[feedPage-1].Seq
		}
		fs.handOut(f, entries, at)
	}
	return settled, nil
}

func (fs *feeds) handOut(f *feed, entries []controlplane.AuditEntry, at int64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.at = at
	for s := range f.subs {
		for i := range entries {
			select {
			case s.events <- &entries[i]:
				continue
			default:
			}
			close(s.events)
			delete(f.subs, s) // its stream unsubscribes
			break
		}
	}
}
