package controlplane

import (
	"errors"
	"math"
	"time"
)

// Errors of a CA without usable renewal information. In both cases, a certificate is renewed based
// on its lifetime.
var (
	// ErrRenewalInfoNotOffered means that the CA has no renewalInfo in its directory (RFC 9773 §3).
	ErrRenewalInfoNotOffered = errors.New("the CA offers no renewal information")
	// ErrNoRenewalInfo means that the CA returned no valid renewal information.
	ErrNoRenewalInfo = errors.New("the CA returned no renewal information")
)

// RenewalInfo is a CA's suggestion for when to renew a certificate (RFC 9773 §4.2). Without a
// window, it only states when to fetch it again. Times are in UTC.
type RenewalInfo struct {
	WindowStart    time.Time
	WindowEnd      time.Time // after WindowStart
	ExplanationURL string    // an explanation, http or https; empty if the CA provides none
	CheckedAt      time.Time // when it was fetched
	CheckAgainAt   time.Time // next fetch: a minute to a day after CheckedAt (RFC 9773 §4.3)
}

// HasWindow reports whether i, which may be nil, has a valid window. An invalid one counts as
// missing (RFC 9773 §4.2).
func (i *RenewalInfo) HasWindow() bool {
	return i != nil && !i.WindowStart.IsZero() && i.WindowEnd.After(i.WindowStart)
}

// ariRest is the minimum age of a certificate before the CA's window applies, or a 24th of its
// lifetime if that is less. Without it, a CA that reports every new certificate as due would cause
// endless renewals.
const ariRest = 6 * time.Hour

// renewalSpread is the share of the time between RenewAt and expiry by which a renewal may come
// before RenewAt: 36 hours of 30 days, 3.6 hours of 3 days. It separates the renewals of
// certificates that expire at the same second (ZeroSSL's, or those of a migration). It increases
// the number of orders by 1.25% to 2.5%.
const renewalSpread = 20

// RenewTime returns when a certificate is due for renewal: at the point of the CA's window that
// draw, in [0,1), selects. The lifetime determines the time instead (RenewAt, less a spread that
// draw also selects) if the window's point is later than that, if the CA provides no information,
// or if the window ended before the certificate's validity. draw is chosen once for each
// certificate and stored, so that fetching the information again moves the time only as far as the
// window moves (RFC 9773 §4.2).
//
// now reports that the whole window had passed when the information was fetched: the CA requests an
// immediate replacement, as in a mass revocation. at is then in the past.
func RenewTime(
	notBefore, notAfter time.Time, ari *RenewalInfo, draw float64,
) (at time.Time, now bool) {
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
