package controlplane

import (
	"errors"
	"math"
	"time"
)

// What a CA that was asked for renewal information may lack. Both mean that a certificate is renewed by its lifetime.
var (
	// ErrRenewalInfoNotOffered says that the CA has no renewalInfo in its directory (RFC 9773 §3).
	ErrRenewalInfoNotOffered = errors.New("the CA offers no renewal information")
	// ErrNoRenewalInfo says that the CA gave no answer that can be believed.
	ErrNoRenewalInfo = errors.New("the CA gave no renewal information")
)

// RenewalInfo is what a CA said of when a certificate is best renewed (RFC 9773 §4.2). Without a window it says nothing but
// when to ask again. Times are in UTC.
type RenewalInfo struct {
	WindowStart    time.Time
	WindowEnd      time.Time // after WindowStart
	ExplanationURL string    // a page for people, http or https; empty if there is none
	CheckedAt      time.Time // when the CA was asked
	CheckAgainAt   time.Time // when to ask next: a minute to a day after CheckedAt (RFC 9773 §4.3)
}

// HasWindow reports whether i, which may be nil, holds a window that makes sense (RFC 9773 §4.2: one that does not is as
// good as no answer).
func (i *RenewalInfo) HasWindow() bool {
	return i != nil && !i.WindowStart.IsZero() && i.WindowEnd.After(i.WindowStart)
}

// ariRest is how long after it became valid a certificate is left alone, whatever the CA says, or a 24th of its life where
// that is less: a CA that calls every new certificate due must not have them renewed without end.
const ariRest = 6 * time.Hour

// renewalSpread is the share of the time between RenewAt and the end by which a renewal may come earlier than RenewAt: 36
// hours of 30 days, 3.6 hours of 3 days. Certificates that all end at one second (ZeroSSL's, or those of one night's move) are
// so renewed apart, and for that 1.25 to 2.5 % more orders are placed.
const renewalSpread = 20

// RenewTime returns when a certificate is due for renewal: at the point of the CA's window that draw, in [0,1), picks. Where
// that is later than the lifetime allows (RenewAt), or there is no information, or the window ended before the certificate
// began, it goes by the lifetime: RenewAt, less a spread that draw picks too. draw is made once for a certificate and kept, so
// that asking the CA again moves the time only as far as the window moves (RFC 9773 §4.2).
//
// now reports that the whole window had passed when the CA was asked: it wants the certificate replaced at once, as in a
// mass revocation. at is in the past then.
func RenewTime(notBefore, notAfter time.Time, ari *RenewalInfo, draw float64) (at time.Time, now bool) {
	if math.IsNaN(draw) {
		draw = 0
	}
	draw = min(max(draw, 0), 1)
	latest := RenewAt(notBefore, notAfter)
	byLife := latest.Add(-time.Duration(draw * float64(notAfter.Sub(latest)/renewalSpread)))
	if !ari.HasWindow() || !ari.WindowEnd.After(notBefore) {
		return byLife, false
	}
	at = ari.WindowStart.Add(time.Duration(draw * float64(ari.WindowEnd.Sub(ari.WindowStart))))
	if earliest := notBefore.Add(min(ariRest, notAfter.Sub(notBefore)/24)); at.Before(earliest) {
		at = earliest
	}
	if at.After(latest) {
		at = byLife
	}
	return at, !ari.WindowEnd.After(ari.CheckedAt) && !at.After(ari.CheckedAt)
}
