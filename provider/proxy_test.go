package provider

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// proxy is a reverse proxy of the API that injects faults.
type proxy struct {
	*httptest.Server
	to    atomic.Pointer[url.URL] // URL of the API
	mu    sync.Mutex
	calls []string
	// fault handles a request and returns true, or returns false to pass it to the API.
	fault func(w http.ResponseWriter, r *http.Request) bool
}

func (a *acc) proxy(fault func(w http.ResponseWriter, r *http.Request) bool) *proxy {
	p := &proxy{fault: fault}
	p.leadTo(a, a.endpoint)
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(
			p.to.Load())
	}, FlushInterval: -1}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.calls = append(p.calls, r.Method+" "+r.URL.RequestURI())
		p.mu.Unlock()
		if p.fault == nil || !p.fault(w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	a.Cleanup(p.Close)
	return p
}

// leadTo forwards all further requests to another endpoint.
func (p *proxy) leadTo(a *acc, endpoint string) {
	a.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		a.Fatal(err)
	}
	p.to.Store(to)
}

// count returns the number of requests whose method, path, and query start with prefix.
func (p *proxy) count(prefix string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, c := range p.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// answers returns the statuses for the first matching requests, and passes later requests.
func answers(
	matches func(*http.Request) bool, statuses ...int,
) func(http.ResponseWriter, *http.Request) bool {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if len(statuses) == 0 || !matches(r) {
			return false
		}
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(statuses[0])
		statuses = statuses[1:]
		return true
	}
}
