package devstack

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
)

// maxACMEBody is far larger than any ACME request.
const maxACMEBody = 1 << 20

// gate prevents deadlocks and data races in Pebble 2.10.1 when orders run in parallel.
//
// Pebble's newOrder and order handlers take the store's lock and then an authorization's lock; its
// authorization handler takes them in the opposite order. If a writer waits for either, both
// deadlock. Therefore, handlers that start with an authorization run alone, one at a time, while
// most others run concurrently. Finalize also runs alone, because it writes the order's status
// without a lock.
type gate struct {
	next http.Handler
	// fresh prevents the reuse of authorizations. Nil allows it.
	fresh *freshAuthorizations
	// mu is held for reading by requests that may run concurrently, and for writing by the others.
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
	// Read the body first, so that a slow client does not block the gate.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxACMEBody))
	if err != nil {
		http.Error(w, "reading the request failed", http.StatusBadRequest)
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

// runsAlone reports whether the request must run alone. Pebble does not export these paths.
func runsAlone(path string) bool {
	return strings.HasPrefix(path, "/authZ/") || strings.HasPrefix(path, "/chalZ/") ||
		strings.HasPrefix(path, "/finalize-order/") ||
		path == "/sign-me-up" || // two registrations with the same key have a data race
		// no other request may see the authorizations that freshAuthorizations hides
		path == pathNewOrder
}
