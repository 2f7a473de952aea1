package provider

import (
	"context"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client"
)

const (
	// readWindow bounds how old an answer may be, and what counts as at once: about as long as a refresh takes, whose first
	// answers are as old as that at its end.
	readWindow = time.Minute
	// readsAlone is how many domains are read one by one before pages of the list are read ahead.
	readsAlone = 8
)

// domainReads reads domains for a refresh. Terraform asks for them one by one; where it asks for many at once, a page of the
// list stands in for up to 200 calls. Nothing is kept for longer than readWindow, nor over a write of this provider: what
// is written is followed by forget. A domain that no page shows is asked for by itself, so that only the API says that one
// is gone.
type domainReads struct {
	client *client.Client
	mu     sync.Mutex
	window *readAhead // nil before the first read
}

// readAhead is what was read within one window.
type readAhead struct {
	opened time.Time
	turn   chan struct{} // held by the one who reads pages

	mu     sync.Mutex
	alone  int // domains that no page showed when they were asked for
	pages  int // that were read
	cursor *string
	done   bool // there are no more pages, or they cannot be read
	seen   map[string]*client.Domain
}

// get returns the domain with that id.
func (r *domainReads) get(ctx context.Context, id string) (*client.Domain, error) {
	if d := r.current().find(ctx, r.client, id); d != nil {
		return d, nil
	}
	return r.client.Domain(ctx, id)
}

// forget has everything read anew. It is called after each write, whether it succeeded or not.
func (r *domainReads) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.window = nil
}

func (r *domainReads) current() *readAhead {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.window == nil || time.Since(r.window.opened) > readWindow {
		r.window = &readAhead{opened: time.Now(), turn: make(chan struct{}, 1), seen: map[string]*client.Domain{}}
	}
	return r.window
}

// find returns the domain if a page shows it, and nil if it must be asked for by itself. There are never more pages than
// domains that were asked for before they were shown, so that a few domains of a large organization cost at most twice
// their calls.
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

// page reads the next page. The caller has the turn.
func (a *readAhead) page(ctx context.Context, c *client.Client) {
	page, err := c.Domains(ctx, client.ListDomainsParams{Limit: new(200), Cursor: a.cursor})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pages++
	if err != nil {
		a.done = true // what the list does not tell, the domain itself does, or its error
		return
	}
	for i := range page.Data {
		a.seen[page.Data[i].Id] = &page.Data[i]
	}
	next, err := page.NextCursor.Get()
	a.cursor, a.done = &next, !page.HasMore || err != nil
}
