package controlplane

import (
	"encoding/json"
	"time"
)

// CAWait is why a CA is not tried for a job's certificate, and until when. It contains no secrets.
type CAWait struct {
	Class    VerdictClass    `json:"class"`
	Code     string          `json:"code"`
	Message  string          `json:"message"`
	Fix      string          `json:"fix,omitempty"`
	Problem  json.RawMessage `json:"problem,omitempty"` // the CA's problem document
	Until    time.Time       `json:"until"`
	Passes   bool            `json:"passes,omitempty"`   // it is a reason to wait, not a failure
	Failures int             `json:"failures,omitempty"` // refusals since the job started
}

// Verdict returns the CA's verdict.
func (w CAWait) Verdict(ca string) Verdict {
	return Verdict{Class: w.Class, CA: ca, Code: w.Code, Message: w.Message, Fix: w.Fix,
		Problem: w.Problem}
}

// The longest waits of a job for a certificate.
const (
	longestWait       = 24 * time.Hour
	longestPersonWait = time.Hour       // while a person waits
	leastDeadline     = 5 * time.Minute // of a certificate that is about to expire
)

// LatestAttempt returns the time by which a job for a certificate is tried again, regardless of
// what it waits for: when a quarter of the time until expires has passed, but not within 5 minutes.
// If expires is zero or has passed, it is an hour from now while a person waits, and a day
// otherwise.
func LatestAttempt(now, expires time.Time, person bool) time.Time {
	switch {
	case expires.After(now):
		return now.Add(max(leastDeadline, expires.Sub(now)/4))
	case person:
		return now.Add(longestPersonWait)
	}
	return now.Add(longestWait)
}

// Candidate is a CA that may get a job's next order, and until when each source rules that out.
// A zero time rules out nothing.
type Candidate struct {
	CA      string
	Held    time.Time // an operator's hold, or a paused name, which nothing bypasses
	Backoff time.Time // after the CA's last verdict, with its Retry-After
	Breaker time.Time // the CA is unreachable for this process
	Quota   time.Time // the CA's limits, as counted here
	NoForce bool      // a forced attempt is not allowed now
	Refused bool      // Backoff follows a refusal, which the CA may repeat
}

// Ready returns the time from which no source rules out the CA: no source shortens another's wait.
func (c Candidate) Ready() time.Time {
	return latest(c.Held, c.Backoff, c.Breaker, c.Quota)
}

// counted reports whether at now only the counted limits rule out the CA.
func (c Candidate) counted(now time.Time) bool {
	return c.Quota.After(now) && !latest(c.Held, c.Backoff, c.Breaker).After(now)
}

func latest(times ...time.Time) time.Time {
	var last time.Time
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// Outlook is everything that decides when a job tries to get a certificate next, and at which CA.
type Outlook struct {
	Now      time.Time
	Expires  time.Time     // of the current certificate; zero without one
	Lifetime time.Duration // of the current certificate
	Person   bool          // a person waits
	// Patience is how long a preferred CA's counted limits are waited for while another CA is
	// available.
	Patience   time.Duration
	Candidates []Candidate // in order of preference
}

// NextAttempt is the result of Outlook.Next.
type NextAttempt struct {
	CA     string    // that is tried at At, or that becomes available first; empty without a CA
	At     time.Time // Now, or when to decide again
	Forced bool      // despite the counted limits: the certificate expires soon
}

// Next returns the next attempt: at the first CA that no source rules out, or when one may become
// available, but not later than LatestAttempt. If none becomes available by then, and the
// certificate is in the last quarter of its lifetime, an attempt is forced at a CA that only the
// counted limits rule out. A CA that has refused does not count as available: otherwise, its
// refusals would keep the job from the CA that would issue until the certificate has expired.
func (o Outlook) Next() NextAttempt {
	limit := LatestAttempt(o.Now, o.Expires, o.Person)
	var first NextAttempt
	hope := false // a CA that has not refused becomes available by then
	for _, c := range o.Candidates {
		ready := c.Ready()
		if !ready.After(o.Now) {
			return NextAttempt{CA: c.CA, At: o.Now}
		}
		if c.counted(o.Now) && !ready.After(o.Now.Add(o.Patience)) {
			return NextAttempt{CA: c.CA, At: earliest(ready, limit)}
		}
		if first.CA == "" || ready.Before(first.At) {
			first = NextAttempt{CA: c.CA, At: ready}
		}
		hope = hope || !c.Refused && !ready.After(limit)
	}
	for _, c := range o.Candidates {
		if !hope && c.counted(o.Now) && !c.NoForce && o.lastQuarter() {
			return NextAttempt{CA: c.CA, At: o.Now, Forced: true}
		}
	}
	first.At = earliest(first.At, limit)
	return first
}

func (o Outlook) lastQuarter() bool {
	return o.Expires.After(o.Now) && o.Expires.Sub(o.Now) <= o.Lifetime/4
}

func earliest(a, b time.Time) time.Time {
	if a.After(b) {
		return b
	}
	return a
}

// ForcedEvery is the shortest time between two forced attempts at a CA, by all workers.
const ForcedEvery = 5 * time.Minute
