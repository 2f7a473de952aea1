package soak

import (
	"net/http"
	"net/http/httptest"
	"time"
)

// Probabilities of faults per request, in addition to outages.
const (
	// connection closed before processing, and with equal probability after it
	oddsCut        = 0.0005
	oddsError      = 0.0005 // 503
	oddsBusy       = 0.0002 // 429 without a known limit
	oddsNonce      = 0.002
	oddsValidation = 0.001
	oddsRubbish    = 0.001
)

// happens draws whether a fault occurs, and counts it.
func (a *ca) happens(what string, odds float64) bool {
	if a.calm || a.dice.float() >= odds {
		return false
	}
	a.count(what)
	return true
}

func (a *ca) count(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tally.faults[what]++
}

// troubled injects faults before a handler.
func (a *ca) troubled(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := a.out(); f != nil {
			a.count("requests in an outage")
			a.fail(w, pick(a.name, int(f.from.Unix()), 4))
			return
		}
		switch {
		case a.happens("connection closed before the request was processed", oddsCut):
			panic(http.ErrAbortHandler)
		case a.happens("connection closed before the response", oddsCut):
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case a.happens("503", oddsError):
			a.fail(w, 0)
		case r.Method == http.MethodPost && a.happens("429 without a limit", oddsBusy):
			a.fail(w, 3)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// out returns the current outage. It starts in the middle of orders: some requests succeed.
func (a *ca) out() *fault {
	now := a.clock.Now()
	f := a.scenario.during(now, bothOut,
		map[string]kind{"primary": primaryOut, "backup": backupOut}[a.name])
	a.mu.Lock()
	defer a.mu.Unlock()
	if f != a.outage {
		a.outage, a.served = f, 0
	}
	if f == nil {
		return nil
	}
	if a.served++; a.served <= pick(a.name, int(f.from.Unix())+1, 12) {
		return nil
	}
	return f
}

// fail responds like a CA with an outage.
func (a *ca) fail(w http.ResponseWriter, how int) {
	switch how {
	case 0:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("<html><h1>503 Service Unavailable</h1></html>"))
	case 1:
		panic(http.ErrAbortHandler)
	case 2:
		write(w, problem(500, "serverInternal", "internal error"))
	case 3:
		refusal := problem(429, "rateLimited", "the service is busy")
		refusal.retryAfter = 10 * time.Minute
		write(w, refusal)
	}
}
