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
	// feedBuffer is the number of events that a reader can lag behind before it is disconnected.
	feedBuffer = 256
	feedPage   = 500
	// feedUnsettled is the poll interval while an open transaction delays the log.
	feedUnsettled = 50 * time.Millisecond
	// feedIdle is the poll interval without notifications.
	feedIdle = 15 * time.Second
	feedRest = time.Second // poll interval after an error
)

// feeds read the log once for all streams of an organization in this process, woken by Postgres
// (Store.Watch). A feed exists while it has subscriptions.
type feeds struct {
	store *postgres.Store
	log   *slog.Logger
	ctx   context.Context // canceled by close
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu    sync.Mutex
	byOrg map[string]*feed
}

// feed reads one organization's log. Its fields are guarded by feeds.mu.
type feed struct {
	org  string
	at   int64 // every event up to this seq was distributed
	subs map[*subscription]struct{}
	stop context.CancelFunc
}

// subscription belongs to one stream. It receives every event after from in order, and is closed if
// the reader falls behind.
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
		if f = fs.byOrg[org]; f == nil { // unless another call was faster
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

// drop removes a subscription, and its feed after the last one. fs.mu is held.
func (fs *feeds) drop(s *subscription) {
	delete(s.feed.subs, s)
	if len(s.feed.subs) == 0 && fs.byOrg[s.feed.org] == s.feed {
		delete(fs.byOrg, s.feed.org)
		s.feed.stop()
	}
}

// start starts to read an organization's log after at. fs.mu is held.
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
			fs.log.LogAttrs(ctx, slog.LevelWarn, "events delayed", slog.Any("error", err))
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

// read distributes new events up to the horizon. It returns false if there are more events behind
// the horizon. Polling finds those: a transaction that is rolled back sends no notification.
func (fs *feeds) read(ctx context.Context, f *feed) (settled bool, err error) {
	horizon, settled, err := fs.store.LogHorizon(ctx)
	if err != nil {
		return false, err
	}
	for at := f.at; at < horizon; { // only this goroutine writes it
		entries, err := fs.store.Events(ctx, f.org,
			postgres.EventFilter{After: at, UpTo: horizon, Limit: feedPage})
		if err != nil {
			return false, err
		}
		at = horizon
		if len(entries) == feedPage {
			at = entries[feedPage-1].Seq
		}
		fs.distribute(f, entries, at)
	}
	return settled, nil
}

func (fs *feeds) distribute(f *feed, entries []controlplane.AuditEntry, at int64) {
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
