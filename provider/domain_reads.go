package provider

import (
	"context"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

const (
	// readWindow is the maximum age of a cached response, about the duration of a refresh.
	readWindow = time.Minute
	// readsAlone is how many domains are read individually before pages of the list are read ahead.
	readsAlone = 8
)

// domainReads reads domains for a refresh. Terraform requests them individually. If it requests
// many in a short time, one page of the list replaces up to 200 calls. Responses are cached for
// readWindow at most, and until the next write of this provider, which calls forget. A domain that
// is not in a page is requested individually, so that only the API reports a domain as gone.
type domainReads struct {
	client *client.Client
	now    func() time.Time
	mu     sync.Mutex
	window *readAhead // nil before the first read
}

// readAhead contains the responses of one window.
type readAhead struct {
	opened time.Time
	turn   chan struct{} // held by the goroutine that reads pages

	mu     sync.Mutex
	alone  int // requested domains that were not in a page
	pages  int // pages that were read
	cursor *string
	done   bool // there are no more pages, or reading one failed
	seen   map[string]*client.Domain
}

// get returns the domain with that ID.
func (r *domainReads) get(ctx context.Context, id string) (*client.Domain, error) {
	if d := r.current().find(ctx, r.client, id); d != nil {
		return d, nil
	}
	return r.client.Domain(ctx, id)
}

// forget drops all cached responses. It is called after each write, even a failed one.
func (r *domainReads) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.window = nil
}

func (r *domainReads) current() *readAhead {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.window == nil || r.now().Sub(r.window.opened) > readWindow {
		r.window = &readAhead{opened: r.now(), turn: make(chan struct{}, 1),
			seen: map[string]*client.Domain{}}
	}
	return r.window
}

// find returns the domain if it is in a page, and nil if it must be requested individually. It
// reads at most as many pages as there were requests for domains not in a page, so that a few
// domains of a large organization cost at most twice as many calls.
func (a *readAhead) find(ctx context.Context, c *client.Client, id string) *client.Domain {
	a.mu.Lock()
	d := a.seen[id]
	if d == nil {
		a.alone++
	}
	few := a.alone <= readsAlone
	a.mu.Unlock()
	if d != nil || few {
		return d
	}
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return nil
	}
	for {
		a.mu.Lock()
		d, stop := a.seen[id], a.done || a.pages >= a.alone
		a.mu.Unlock()
		if d != nil || stop {
			return d
		}
		a.page(ctx, c)
	}
}

// page reads the next page. The caller holds turn.
func (a *readAhead) page(ctx context.Context, c *client.Client) {
	page, err := c.Domains(ctx, client.ListDomainsParams{Limit: new(200), Cursor: a.cursor})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pages++
	if err != nil {
		a.done = true // the individual request returns the domain or the error
		return
	}
	for i := range page.Data {
		a.seen[page.Data[i].Id] = &page.Data[i]
	}
	next, err := page.NextCursor.Get()
	a.cursor, a.done = &next, !page.HasMore || err != nil
}
