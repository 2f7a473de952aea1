package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// Intervals between the quiet organization's calls. Together, they are below the pro plan's limit
// of 1,000 calls per minute.
const (
	quietGetEvery    = 125 * time.Millisecond
	quietPostEvery   = 350 * time.Millisecond
	webhookPatience  = time.Minute
	eventsOfADomain  = 2 // that the webhook receives
	quietDomainLimit = 100_000
)

// quiet is the organization on the pro plan, with a webhook.
type quiet struct {
	*pipeline
	hooks *hookReceiver
}

// experience has the organization's measurements of one round, in milliseconds.
type experience struct{ get, post, active, webhook []float64 }

var experienceFigures = []struct {
	name string
	of   func(e experience) []float64
}{
	{"GET domains", func(e experience) []float64 { return e.get }},
	{"POST domains", func(e experience) []float64 { return e.post }},
	{"time to certificate", func(e experience) []float64 { return e.active }},
	{"webhook delay", func(e experience) []float64 { return e.webhook }},
}

func (b *bench) newQuiet(o *operator) (*quiet, error) {
	limit := quietDomainLimit
	org, err := o.lifecycle.CreateOrganization(b.ctx, controlplane.System("bench"),
		lifecycle.NewOrganization{Name: "Quiet", Tier: controlplane.TierPro, DomainLimit: &limit})
	if err != nil {
		return nil, err
	}
	_, token, err := o.lifecycle.CreateToken(b.ctx, controlplane.System("bench"), nil, org.ID,
		lifecycle.NewToken{Name: "bench", Scopes: controlplane.Scopes()})
	if err != nil {
		return nil, err
	}
	p, err := b.newPipeline(o.dev)
	if err != nil {
		return nil, err
	}
	p.token = token
	q := &quiet{pipeline: p, hooks: newHookReceiver()}
	var made json.RawMessage
	_, err = q.call(b.ctx, http.MethodPost, "/api/webhooks", nil,
		map[string]any{"url": q.hooks.server.URL,
			"events": []string{controlplane.ActionDomainCreated,
				controlplane.ActionCertificateIssued}}, &made)
	if err != nil {
		q.close()
		return nil, err
	}
	return q, nil
}

func (q *quiet) close() {
	q.pipeline.close()
	q.hooks.server.Close()
}

// measure sends calls at fixed times, independent of the response times, and returns when all of
// them have finished.
func (q *quiet) measure(length time.Duration) (experience, error) {
	var e experience
	if err := q.delegate(int(length/quietPostEvery), 1); err != nil {
		return e, err
	}
	q.hooks.take()
	var mu sync.Mutex
	took := func(into *[]float64, since time.Time) {
		mu.Lock()
		defer mu.Unlock()
		*into = append(*into, ms(time.Since(since)))
	}
	g, ctx := errgroup.WithContext(q.ctx)
	g.Go(func() error {
		return atIntervals(ctx, g, quietGetEvery, int(length/quietGetEvery), func(int) error {
			at := time.Now()
			var page json.RawMessage
			_, err := q.call(ctx, http.MethodGet, "/api/domains?limit=20", nil, nil, &page)
			took(&e.get, at)
			return err
		})
	})
	g.Go(func() error {
		return atIntervals(ctx, g, quietPostEvery, len(q.domains), func(i int) error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			at := time.Now()
			d, err := q.add(ctx, q.domains[i].name)
			if err != nil {
				return err
			}
			took(&e.post, at)
			err = q.waitActive(ctx, q.domains[i].name, d)
			took(&e.active, at)
			return err
		})
	})
	if err := g.Wait(); err != nil {
		return e, err
	}
	var err error
	e.webhook, err = q.hooks.await(q.ctx, eventsOfADomain*len(q.domains))
	return e, err
}

// atIntervals starts n calls of f at fixed intervals, each in a goroutine of g.
func atIntervals(
	ctx context.Context, g *errgroup.Group, every time.Duration, n int, f func(i int) error,
) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range n {
		g.Go(func() error { return f(i) })
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// hookReceiver is a webhook receiver that responds immediately.
type hookReceiver struct {
	server *httptest.Server
	mu     sync.Mutex
	delays []float64 // from each event's time to its arrival, in milliseconds
	ids    map[string]bool
}

func newHookReceiver() *hookReceiver {
	h := &hookReceiver{ids: make(map[string]bool)}
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		var event struct{ Timestamp time.Time }
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
			http.Error(w, "not an event", http.StatusBadRequest)
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if id := r.Header.Get("webhook-id"); !h.ids[id] {
			h.ids[id] = true
			h.delays = append(h.delays, ms(now.Sub(event.Timestamp)))
		}
	}))
	return h
}

// take returns and removes the delays of the events that have arrived.
func (h *hookReceiver) take() []float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	delays := h.delays
	h.delays = nil
	return delays
}

// await waits until n events have arrived and returns their delays.
func (h *hookReceiver) await(ctx context.Context, n int) ([]float64, error) {
	var all []float64
	for deadline := time.Now().Add(webhookPatience); time.Now().Before(deadline); time.Sleep(
		5 * time.Millisecond) {
		if all = append(all, h.take()...); len(all) >= n {
			return all, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%d of %d events arrived at the webhook before the timeout", len(all), n)
}
