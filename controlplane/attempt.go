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
	Failures int             `json:"failures,omitempty"` // refusals since the job started
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
