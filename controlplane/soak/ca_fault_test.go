package soak

import (
	"maps"
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
	oddsBody       = 0.0003 // null, and with equal probability half of the body
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
		case r.Method == http.MethodPost && a.happens("null instead of the object", oddsBody):
			garble(w, r, next, func(string) string { return "null" })
		case r.Method == http.MethodPost && a.happens("truncated body", oddsBody):
			garble(w, r, next, func(body string) string { return body[:len(body)/2] })
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// garble processes the request, and sends another body.
func garble(w http.ResponseWriter, r *http.Request, next http.Handler, change func(string) string) {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	_, _ = w.Write([]byte(change(rec.Body.String())))
}

// unwelcome returns the rejection of an order during a fault, if there is one. The caller holds the
// lock.
func (a *ca) unwelcome(o *order, now time.Time) answer {
	name := o.proofs[0].name
	if f := a.scenario.during(now, limitsWrong); f != nil && now.Before(f.from.Add(limitsReject)) {
		if domain := registered(name); pick(domain, int(f.from.Unix()), 2) == 0 {
			a.tally.faults["limit stated for too long"]++
			refusal := problem(429, "rateLimited",
				"too many certificates (50) already issued for %q in the last 168h0m0s", domain)
			refusal.retryAfter = limitsStated
			return refusal
		}
	}
	if a.name != "primary" {
		return answer{}
	}
	if f := a.scenario.during(now, accountLost); f != nil {
		a.tally.faults["account rejected"]++
		kinds := []string{"userActionRequired", "externalAccountRequired", "unauthorized"}
		return problem(403, kinds[pick("account", int(f.from.Unix()), len(kinds))],
			"the account cannot order")
	}
	if f := a.scenario.during(now, namesLimited); f != nil &&
		pick(name, int(f.from.Unix()), 5) == 0 {
		a.tally.faults["429 for a name, with unknown wording"]++
		refusal := problem(429, "rateLimited", "%s exceeds a quota of this CA", name)
		refusal.retryAfter = day
		return refusal
	}
	if f := a.scenario.during(now, namesPaused); f != nil &&
		pick(name, int(f.from.Unix()), 10) == 0 {
		a.tally.faults["name paused"]++
		return problem(429, "rateLimited",
			"Your account is temporarily prevented from requesting certificates for %s and possibly others. Please visit: https://portal.ca.example/unpause?jwt=abc", name)
	}
	return answer{}
}

// mannerOfYear draws how the CA treats an order. Of an order of several names, one may be known
// from an earlier order, and another one may lag.
func (a *ca) mannerOfYear(o *order) manner {
	m := a.mannerOfOrder()
	if n := len(o.proofs); n > 1 {
		if a.dice.float() < 0.3 {
			a.tally.faults["name known from an earlier order"]++
			m.known = o.proofs[n-1].name
		}
		if a.dice.float() < 0.3 {
			a.tally.faults["name that lags"]++
			m.lagging, m.lags = o.proofs[0].name, a.dice.between(time.Second, 90*time.Second)
		}
	}
	return m
}

func (a *ca) mannerOfOrder() manner {
	switch n := a.dice.float(); {
	case n < 0.003:
		a.tally.faults["order in processing for hours"]++
		return manner{issues: a.dice.between(time.Hour, 8*time.Hour), pause: 6 * time.Hour}
	case n < 0.006:
		a.tally.faults["authorization pending with a long Retry-After"]++
		return manner{validates: a.dice.between(time.Second, 90*time.Second), pause: day}
	case n < 0.05:
		return manner{lag: a.dice.between(100*time.Millisecond, 20*time.Second)}
	case n < 0.1:
		a.tally.faults["order ready after the CSR was accepted"]++
		return manner{stale: a.dice.between(time.Second, 5*time.Second), issues: time.Second}
	case n < 0.5:
		return manner{validates: 2 * time.Second, issues: 3 * time.Second, pause: 3 * time.Second}
	}
	return manner{}
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
		if wait := a.clock.Now().Unix() % 4; wait > 0 { // an hour, a day, or 30 days
			w.Header().Set("Retry-After", []string{"3600", "86400", "2592000"}[wait-1])
		}
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
