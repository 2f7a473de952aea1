package devstack

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
)

// maxACMEBody is far above any ACME request.
const maxACMEBody = 1 << 20

// gate keeps Pebble 2.10.1 from locking itself up, and from racing with itself, when orders run in parallel.
//
// Pebble's new-order and order handlers hold the store's lock while they take an authorization's; its authorization handler
// holds them the other way round. With a writer waiting on either, both wait for ever. So the handlers that begin with an
// authorization run alone, one at a time; most others run together. Finalize runs alone too, because it writes the order's
// status without a lock.
type gate struct {
	next http.Handler
	// fresh keeps a new order from using earlier authorizations; nil where it may.
	fresh *freshAuthorizations
	// mu is held for reading by requests that may overlap, for writing by those that must not.
	mu sync.RWMutex
}

func newGate(next http.Handler, fresh *freshAuthorizations) *gate {
	return &gate{next: next, fresh: fresh}
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		g.next.ServeHTTP(w, r)
		return
	}
	// The body is read first: a client that sends slowly must not hold the gate.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxACMEBody))
	if err != nil {
		http.Error(w, "cannot read the request", http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))

	if runsAlone(r.URL.Path) {
		g.mu.Lock()
		defer g.mu.Unlock()
	} else {
		g.mu.RLock()
		defer g.mu.RUnlock()
	}
	if g.fresh != nil && r.URL.Path == pathNewOrder {
		defer g.fresh.hide(body)()
	}
	g.next.ServeHTTP(w, r)
}

const pathNewOrder = "/order-plz"

// runsAlone knows Pebble's paths, which Pebble does not export.
func runsAlone(path string) bool {
	return strings.HasPrefix(path, "/authZ/") || strings.HasPrefix(path, "/chalZ/") || strings.HasPrefix(path, "/finalize-order/") ||
		path == "/sign-me-up" || // two registrations with one key race with each other
		path == pathNewOrder // no other may see what freshAuthorizations hides
}
