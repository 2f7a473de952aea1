package soak

import (
	"net/http"
	"slices"
	"time"
)

// renewalInfo returns when to renew a certificate (RFC 9773 §4.2): in a narrow window around the
// time at which a third of its lifetime is left (half if it is under 10 days), which moves slightly
// every other day; or immediately.
func (a *ca) renewalInfo(w http.ResponseWriter, r *http.Request) {
	now := a.clock.Now()
	id := r.PathValue("id")
	a.mu.Lock()
	cert := a.certs[id]
	a.mu.Unlock()
	if cert == nil {
		write(w, problem(404, "malformed", "no such certificate"))
		return
	}
	life := cert.notAfter.Sub(cert.notBefore)
	from := dueAt(cert.notBefore, life).Add(
		time.Duration(float64(life) * (float64(pick(id, int(now.Sub(start)/(2*day)),
			101))/1e4 - 0.01)))
	to := from.Add(life / 100)
	if at := a.scenario.forced(a.dns.subjects[base(cert.names[0])].name, now); cert.at.Before(at) {
		from, to = cert.notBefore.Add(-2*day), cert.notBefore.Add(time.Minute)
	}
	window := map[string]any{"start": from.Format(time.RFC3339), "end": to.Format(time.RFC3339)}
	switch {
	case a.happens("renewal information without a window", oddsRubbish):
		window = nil
	case a.happens("renewal window that ends before it starts", oddsRubbish):
		window["end"] = from.Add(-day).Format(time.RFC3339)
	case a.happens("renewal information not found", oddsRubbish):
		write(w, problem(404, "malformed", "no such certificate"))
		return
	}
	if window != nil && from.Before(to) {
		a.mu.Lock()
		if s := (span{from, to}); len(cert.windows) == 0 || cert.windows[len(cert.windows)-1] != s {
			cert.windows = append(cert.windows, s)
		}
		a.mu.Unlock()
	}
	write(w, answer{status: 200, retryAfter: 6 * time.Hour,
		body: map[string]any{"suggestedWindow": window}})
}

// isDue reports whether t is in a window in which the CA suggested to renew the certificate. Only
// then is an order that replaces it exempt from the limits, as at Let's Encrypt. Any window counts
// that the CA has sent, because the client may not have received the last one.
func (c *issued) isDue(t time.Time) bool {
	return slices.ContainsFunc(c.windows, func(s span) bool { return s.has(t) })
}

// dueAt returns when a certificate is due for renewal by its lifetime alone.
func dueAt(notBefore time.Time, life time.Duration) time.Time {
	if life < 10*day {
		return notBefore.Add(life / 2)
	}
	return notBefore.Add(life / 3 * 2)
}
