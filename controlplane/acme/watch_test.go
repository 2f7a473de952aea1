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

// watched is a CA that has issued a certificate, under a watch that looks often.
func watched(t *testing.T, c *clock, others ...acme.CA) (w *world, f *faulty, e *acme.Engine) {
	t.Helper()
	w, f = newFaultyWorld(t, devstack.CAConfig{})
	e = w.engine(t, func(cfg *acme.Config) {
		cfg.Now, cfg.Breaker, cfg.CAs = c.now, acme.Breaker{Failures: 1, Open: time.Hour}, append(cfg.CAs, others...)
	})
	w.issue(t, e, "up.example.com")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); e.Watch(ctx, 5*time.Millisecond) }()
	t.Cleanup(func() { cancel(); <-ended })
	return w, f, e
}

// fails runs an order that finds the CA away.
func (w *world) fails(t *testing.T, e *acme.Engine, name string) {
	t.Helper()
	o := w.order(t, e, name)
	_, err := e.Run(t.Context(), o, w.journal(o))
	wantError(t, err, acme.Unreachable, "ca-unreachable")
	if e.Answering("pebble") {
		t.Error("the CA is not given up")
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// A CA that was given up is found back with nothing to order there, before its pause is over.
// One that is well is not asked.
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
	w, f, e := watched(t, &clock{t: time.Now()}, acme.CA{Name: "gone", DirectoryURL: gone.URL + "/dir", RootCAs: roots})
	for _, path := range allPaths {
		f.answer(path, 0, 502, nil, "")
	}
	w.fails(t, e, "down.example.com")
	eventually(t, "it is looked at", func() bool { return f.requests(pathDirectory) > 3 })
	if e.Answering("pebble") {
		t.Error("a CA that is away was taken back")
	}
	for _, path := range allPaths {
		f.on(path, nil)
	}
	eventually(t, "it is found back", func() bool { return e.Answering("pebble") })
	if ok, _ := e.Healthy("pebble"); !ok {
		t.Error("it is left alone all the same")
	}

	o := w.order(t, e, "gone.example.com")
	o.CA = "gone"
	_, err := e.Run(t.Context(), o, w.journal(o))
	wantError(t, err, acme.Unreachable, "ca-unreachable")
	before, asked := looks.Load(), f.requests(pathDirectory)
	eventually(t, "the other is looked at", func() bool { return looks.Load() > before+3 })
	if n := f.requests(pathDirectory) - asked; n != 0 {
		t.Errorf("%d looks at a CA that is well", n)
	}
	w.issue(t, e, "back.example.com")
}

// A directory that answers while orders fail takes the CA back once in an hour, not every
// minute: else nobody would be told that it is away.
func TestWatchIsNotDeceivedForLong(t *testing.T) {
	t.Parallel()
	c := &clock{t: time.Now()}
	w, f, e := watched(t, c)
	f.answer(pathNewOrder, 0, 502, nil, "")
	w.fails(t, e, "down.example.com")
	eventually(t, "its directory answers", func() bool { return e.Answering("pebble") })
	w.fails(t, e, "still.example.com")
	asked := f.requests(pathDirectory)
	c.advance(59 * time.Minute)
	w.fails(t, e, "paused.example.com")
	if n := f.requests(pathDirectory) - asked; n != 0 {
		t.Errorf("its directory was looked at %d times while it was doubted", n)
	}
	c.advance(time.Minute)
	eventually(t, "it is looked at again", func() bool { return e.Answering("pebble") })
	f.on(pathNewOrder, nil)
	w.issue(t, e, "back.example.com")
	f.answer(pathNewOrder, 0, 502, nil, "")
	w.fails(t, e, "again.example.com")
	eventually(t, "it is believed again, since an order went through", func() bool { return e.Answering("pebble") })
}
