package acme_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// Paths of Pebble's endpoints.
const (
	pathDirectory = "/dir"
	pathNonce     = "/nonce-plz"
	pathAccount   = "/sign-me-up"
	pathNewOrder  = "/order-plz"
	pathRevoke    = "/revoke-cert"
	pathOrder     = "/my-order/"
	pathFinalize  = "/finalize-order/"
	pathAuthz     = "/authZ/"
	pathChallenge = "/chalZ/"
	pathCert      = "/certZ/"
)

var allPaths = []string{pathKeyChange, pathRenewalInfo, pathDirectory, pathNonce, pathAccount,
	pathNewOrder, pathOrder, pathFinalize, pathAuthz, pathChallenge, pathCert, pathRevoke}

// faulty is a handler in front of the CA that injects faults. It counts the requests of each path
// from 1.
type faulty struct {
	mu    sync.Mutex
	next  http.Handler
	seen  map[string]int
	fault map[string]func(n int, w http.ResponseWriter, r *http.Request, next http.Handler)
}

// newFaultyWorld starts a CA behind a faulty handler.
func newFaultyWorld(t testing.TB, cfg devstack.CAConfig) (*world, *faulty) {
	f := &faulty{seen: map[string]int{},
		fault: map[string]func(int, http.ResponseWriter, *http.Request, http.Handler){}}
	cfg.Wrap = func(next http.Handler) http.Handler {
		f.next = next
		return f
	}
	return newWorld(t, cfg), f
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	var fault func(int, http.ResponseWriter, *http.Request, http.Handler)
	n := 0
	for _, path := range allPaths {
		if strings.HasPrefix(r.URL.Path, path) {
			f.seen[path]++
			n, fault = f.seen[path], f.fault[path]
		}
	}
	f.mu.Unlock()
	if fault == nil {
		f.next.ServeHTTP(w, r)
		return
	}
	fault(n, w, r, f.next)
}

// on injects a fault into the requests of a path; nil removes it.
func (f *faulty) on(
	path string, fault func(n int, w http.ResponseWriter, r *http.Request, next http.Handler),
) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[path] = 0
	f.fault[path] = fault
}

func (f *faulty) requests(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[path]
}

// total returns the number of requests to all paths since their faults were set.
func (f *faulty) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, seen := range f.seen {
		n += seen
	}
	return n
}

// reset removes all faults, and counts from 0.
func (f *faulty) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.seen)
	clear(f.fault)
}

// while injects a fault into the requests of a path for which active returns true.
func (f *faulty) while(
	path string, active func(n int) bool,
	fault func(w http.ResponseWriter, r *http.Request, next http.Handler),
) {
	f.on(path, func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
		if active(n) {
			fault(w, r, next)
		} else {
			next.ServeHTTP(w, r)
		}
	})
}

// cut breaks the connection of the first times requests, before or after the CA processes them.
func (f *faulty) cut(path string, times int, after bool) {
	f.on(path, func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n > times {
			next.ServeHTTP(w, r)
			return
		}
		if after {
			next.ServeHTTP(httptest.NewRecorder(), r)
		}
		panic(http.ErrAbortHandler)
	})
}

// answer returns a fixed response to the first times requests, or to all if times is 0.
func (f *faulty) answer(path string, times, status int, header map[string]string, body string) {
	f.on(path, func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
		if times > 0 && n > times {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/problem+json")
		for key, value := range header {
			w.Header().Set(key, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// rewrite changes the JSON objects in the responses of a path.
func (f *faulty) rewrite(
	path string, change func(n int, object map[string]any, header http.Header),
) {
	f.rewriteBytes(path, func(n int, body []byte, header http.Header) []byte {
		var object map[string]any
		if json.Unmarshal(body, &object) != nil {
			return body
		}
		change(n, object, header)
		body, _ = json.Marshal(object)
		return body
	})
}

func (f *faulty) rewriteBytes(
	path string, change func(n int, body []byte, header http.Header) []byte,
) {
	f.on(path, func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		body := change(n, bytes.Clone(rec.Body.Bytes()), rec.Header())
		maps.Copy(w.Header(), rec.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(rec.Code)
		_, _ = w.Write(body)
	})
}
