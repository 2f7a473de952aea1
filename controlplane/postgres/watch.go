package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// watcher holds one connection that listens for the notifications of the triggers in
// 00003_notify.sql, and wakes the callers that wait for them. After it has lost the connection it
// wakes all callers, because it may have missed notifications.
type watcher struct {
	store *Store
	stop  context.CancelFunc
	ctx   context.Context

	mu      sync.Mutex
	started bool
	done    chan struct{}
	ids     map[string]map[chan struct{}]struct{}
	jobs    map[chan struct{}]struct{}
}

func newWatcher(s *Store) *watcher {
	ctx, stop := context.WithCancel(context.Background())
	return &watcher{store: s, ctx: ctx, stop: stop, done: make(chan struct{}),
		ids: map[string]map[chan struct{}]struct{}{}, jobs: map[chan struct{}]struct{}{}}
}

// Watch returns a channel that gets a value when the job or domain with the given ID changes or is
// deleted, or the log of the organization with that ID grows. Read the row after the call to Watch,
// so that no change is missed. The caller must call stop.
func (s *Store) Watch(id string) (moved <-chan struct{}, stop func()) {
	w, ch := s.watch, make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ids[id] == nil {
		w.ids[id] = map[chan struct{}]struct{}{}
	}
	w.ids[id][ch] = struct{}{}
	w.start()
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.ids[id], ch)
		if len(w.ids[id]) == 0 {
			delete(w.ids, id)
		}
	}
}

// WatchJobs returns a channel that gets a value when a job is queued and not dispatched.
func (s *Store) WatchJobs() (queued <-chan struct{}, stop func()) {
	w, ch := s.watch, make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs[ch] = struct{}{}
	w.start()
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.jobs, ch)
	}
}

// start starts the listening goroutine once. The caller holds w.mu.
func (w *watcher) start() {
	if w.started {
		return
	}
	w.started = true
	go func() {
		defer close(w.done)
		for w.ctx.Err() == nil {
			err := w.listen()
			if w.ctx.Err() != nil {
				return
			}
			w.store.logger.Warn(
				"postgres: lost the connection that listens for changes; reconnecting",
				"error", err)
			w.wakeAll()
			select {
			case <-w.ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
}

func (w *watcher) listen() error {
	conn, err := pgx.ConnectConfig(w.ctx, w.store.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if _, err := conn.Exec(w.ctx, "LISTEN dcvaas_jobs; LISTEN dcvaas_moved"); err != nil {
		return err
	}
	w.wakeAll()
	for {
		n, err := waitAlive(w.ctx, conn)
		if err != nil {
			return err
		}
		w.mu.Lock()
		if n.Channel == "dcvaas_jobs" {
			wake(w.jobs)
		} else {
			wake(w.ids[n.Payload])
		}
		w.mu.Unlock()
	}
}

func (w *watcher) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	wake(w.jobs)
	for _, set := range w.ids {
		wake(set)
	}
}

func wake(set map[chan struct{}]struct{}) {
	for ch := range set {
		select {
		case ch <- struct{}{}:
		default: // it has a value
		}
	}
}

// close stops the goroutine. It may be called more than once.
func (w *watcher) close() {
	w.stop()
	w.mu.Lock()
	if !w.started {
		w.started = true // so that nothing starts it later
		close(w.done)
	}
	w.mu.Unlock()
	<-w.done
}
