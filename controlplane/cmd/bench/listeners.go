package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/cmd/program"
)

const (
	eventsEach    = 10               // per round
	eventPatience = 30 * time.Second // until the last listener has an event
)

// listeners measures open event streams on one process: the memory of each, and the delay of an
// event. It also verifies that a stream that is disconnected and resumed neither loses nor repeats
// events.
func listeners(b *bench, _ []string) error {
	dev, err := b.startDev("listeners", false)
	if err != nil {
		return err
	}
	defer stopDev(dev)
	a, err := b.newAudience(dev)
	if err != nil {
		return err
	}
	defer a.close()
	before := memoryInUse()
	if err := a.open(pick(b.options.quick, 200, 2000)); err != nil {
		return err
	}
	each := (memoryInUse() - before) / float64(len(a.all)) / 1024
	var took []float64
	for round := range b.options.rounds {
		b.say("listeners, round %d of %d", round+1, b.options.rounds)
		for range eventsEach {
			delays, err := a.tell()
			if err != nil {
				return err
			}
			took = append(took, milliseconds(delays)...)
		}
	}
	if err := a.resume(); err != nil {
		return err
	}
	t, what := &b.table, thousands(fmt.Sprint(len(a.all)))+" listeners"
	t.add(what+", memory of each", "kB", []float64{each}, nil, target{})
	t.addPooled(what+", an event reaches one, p50", 50, took, nil, target{})
	t.addPooled(what+", p99", 99, took, nil, target{})
	t.note("listeners: streams of one organization's events on one process; memory is that of both ends, heap and stacks; the delay starts before the event's transaction. At the end, each was disconnected, missed %d events, was resumed with its last ID, and received every event once, in order.", eventsEach)
	return nil
}

// audience has an organization's listeners, and a connection that writes to its log.
type audience struct {
	ctx     context.Context
	db      *pgx.Conn
	org     string
	url     string
	token   string
	all     []*listener
	written []string // IDs of the events, in order
}

// listener is one stream with the events that it received.
type listener struct {
	mu   sync.Mutex
	ids  []string
	last time.Time // arrival of the newest event
	cut  context.CancelFunc
	gone chan struct{}
}

func (b *bench) newAudience(dev *program.Dev) (*audience, error) {
	db, err := pgx.Connect(b.ctx, dev.Postgres.DSN())
	if err != nil {
		return nil, err
	}
	return &audience{ctx: b.ctx, db: db, org: dev.OrgID, url: dev.Env()["DCVAAS_ENDPOINT"] +
		"/api/events", token: dev.Token}, nil
}

func (a *audience) close() {
	for _, l := range a.all {
		l.cut()
		<-l.gone
	}
	_ = a.db.Close(context.WithoutCancel(a.ctx))
}

// open opens n streams.
func (a *audience) open(n int) error {
	for range n {
		l := new(listener)
		if err := a.connect(l); err != nil {
			return err
		}
		a.all = append(a.all, l)
	}
	return nil
}

// connect opens a listener's stream after its last event.
func (a *audience) connect(l *listener) error {
	ctx, cut := context.WithCancel(a.ctx)
	l.cut, l.gone = cut, make(chan struct{})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+a.token)
	r.Header.Set("Accept", "text/event-stream")
	if len(l.ids) > 0 {
		r.Header.Set("Last-Event-ID", l.ids[len(l.ids)-1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("opening an event stream: %s", resp.Status)
	}
	go func() {
		defer close(l.gone)
		defer func() { _ = resp.Body.Close() }()
		for in := bufio.NewScanner(resp.Body); in.Scan(); {
			if id, ok := strings.CutPrefix(in.Text(), "id: "); ok {
				l.mu.Lock()
				l.ids, l.last = append(l.ids, id), time.Now()
				l.mu.Unlock()
			}
		}
	}()
	return nil
}

// write commits one event and returns the start time of its transaction.
func (a *audience) write() (time.Time, error) {
	id := controlplane.NewID(controlplane.PrefixEvent)
	a.written = append(a.written, id)
	start := time.Now()
	_, err := a.db.Exec(a.ctx,
		`INSERT INTO audit_logs (id, org_id, actor_type, action, entity_type, entity_id, created_at)
		VALUES ($1, $2, 'system', $3, 'domain', 'dom_bench', now())`, id, a.org, controlplane.ActionCheckRequested)
	return start, err
}

// tell writes an event and returns its delay to each listener.
func (a *audience) tell() ([]time.Duration, error) {
	start, err := a.write()
	if err != nil {
		return nil, err
	}
	if err := a.wait(); err != nil {
		return nil, err
	}
	delays := make([]time.Duration, len(a.all))
	for i, l := range a.all {
		delays[i] = l.last.Sub(start)
	}
	return delays, nil
}

// wait waits until every listener has every event, once and in order.
func (a *audience) wait() error {
	deadline := time.Now().Add(eventPatience)
	for _, l := range a.all {
		for {
			l.mu.Lock()
			n := len(l.ids)
			l.mu.Unlock()
			if n >= len(a.written) {
				break
			}
			if time.Now().After(deadline) {
				return errors.New("an event did not reach every listener before the timeout")
			}
			time.Sleep(time.Millisecond)
		}
		l.mu.Lock()
		same := slices.Equal(l.ids, a.written)
		l.mu.Unlock()
		if !same {
			return errors.New("a listener lost or repeated an event")
		}
	}
	return nil
}

// resume disconnects every stream, writes events that it misses, and reconnects it.
func (a *audience) resume() error {
	for _, l := range a.all {
		l.cut()
		<-l.gone
	}
	for range eventsEach {
		if _, err := a.write(); err != nil {
			return err
		}
	}
	for _, l := range a.all {
		if err := a.connect(l); err != nil {
			return err
		}
	}
	return a.wait()
}

// memoryInUse returns the size of this process's heap and stacks in bytes.
func memoryInUse() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse + m.StackInuse)
}
