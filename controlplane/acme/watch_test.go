package acme_test

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// watched returns a CA that has issued a certificate and an engine with a frequent Watch.
func watched(t *testing.T, c *clock, others ...acme.CA) (w *world, f *faulty, e *acme.Engine) {
	t.Helper()
	w, f = newFaultyWorld(t, devstack.CAConfig{})
	e = w.engine(t, func(cfg *acme.Config) {
		cfg.Now, cfg.Breaker, cfg.CAs = c.now, acme.Breaker{Failures: 1, Open: time.Hour},
			append(cfg.CAs, others...)
	})
	w.issue(t, e, "up.example.com")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); e.Watch(ctx, 5*time.Millisecond) }()
	t.Cleanup(func() { cancel(); <-ended })
	return w, f, e
}

// fails runs an order that finds the CA unreachable and opens the breaker.
func (w *world) fails(t *testing.T, e *acme.Engine, name string) {
	t.Helper()
	o := w.order(t, e, name)
	_, err := e.Run(t.Context(), o, w.journal(o))
	wantError(t, err, acme.Unreachable, "ca-unreachable")
	if e.Answering("pebble") {
		t.Error("Answering after the failures = true, want false")
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

// TestWatchFindsACABack checks that Watch closes the breaker of an unreachable CA without an order,
// before the open period is over, and that it does not contact CAs with a closed breaker.
func TestWatchFindsACABack(t *testing.T) {
	t.Parallel()
	var looks atomic.Int64
	gone := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		looks.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(gone.Close)
	roots := x509.NewCertPool()
	roots.AddCert(gone.Certificate())
	w, f, e := watched(t, &clock{t: time.Now()},
		acme.CA{Name: "gone", DirectoryURL: gone.URL + "/dir", RootCAs: roots})
	for _, path := range allPaths {
		f.answer(path, 0, 502, nil, "")
	}
	w.fails(t, e, "down.example.com")
	eventually(t, "the directory is fetched", func() bool { return f.requests(pathDirectory) > 3 })
	if e.Answering("pebble") {
		t.Error("Answering of an unreachable CA = true, want false")
	}
	for _, path := range allPaths {
		f.on(path, nil)
	}
	eventually(t, "the breaker closes", func() bool { return e.Answering("pebble") })
	if ok, _ := e.Healthy("pebble"); !ok {
		t.Error("Healthy after the breaker closed = false, want true")
	}

	o := w.order(t, e, "gone.example.com")
	o.CA = "gone"
	_, err := e.Run(t.Context(), o, w.journal(o))
	wantError(t, err, acme.Unreachable, "ca-unreachable")
	before, asked := looks.Load(), f.requests(pathDirectory)
	eventually(t, "the other CA's directory is fetched",
		func() bool { return looks.Load() > before+3 })
	if n := f.requests(pathDirectory) - asked; n != 0 {
		t.Errorf("directory requests of a CA with a closed breaker = %d, want 0", n)
	}
	w.issue(t, e, "back.example.com")
}

// TestWatchIsNotDeceivedForLong checks that a reachable directory with failing orders closes the
// breaker once per hour, not every minute. Otherwise no alert would report the CA as unreachable.
func TestWatchIsNotDeceivedForLong(t *testing.T) {
	t.Parallel()
	c := &clock{t: time.Now()}
	w, f, e := watched(t, c)
	f.answer(pathNewOrder, 0, 502, nil, "")
	w.fails(t, e, "down.example.com")
	eventually(t, "the directory is reachable", func() bool { return e.Answering("pebble") })
	w.fails(t, e, "still.example.com")
	asked := f.requests(pathDirectory)
	c.advance(59 * time.Minute)
	w.fails(t, e, "paused.example.com")
	if n := f.requests(pathDirectory) - asked; n != 0 {
		t.Errorf("directory requests while it is in doubt = %d, want 0", n)
	}
	c.advance(time.Minute)
	eventually(t, "the directory is fetched again", func() bool { return e.Answering("pebble") })
	f.on(pathNewOrder, nil)
	w.issue(t, e, "back.example.com")
	f.answer(pathNewOrder, 0, 502, nil, "")
	w.fails(t, e, "again.example.com")
	eventually(t, "the directory closes the breaker again after a successful order",
		func() bool { return e.Answering("pebble") })
}
