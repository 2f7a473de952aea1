package controlplane

import "time"

// ShortLife is the lifetime below which a certificate's warnings depend on shares of its lifetime
// instead of days.
const ShortLife = 21 * 24 * time.Hour

// ExpiryAlarmAt returns when a current certificate causes an alarm: 7 days before expiry, or, for
// lifetimes under 21 days, when a quarter of the lifetime is left. It is one of ExpiryWarnings.
func ExpiryAlarmAt(notBefore, notAfter time.Time) time.Time {
	left := 7 * 24 * time.Hour
	if life := notAfter.Sub(notBefore); life < ShortLife {
		left = life / 4
	}
	return notAfter.Add(-left).Truncate(time.Second)
}

// RenewalLateAt returns when the renewal of a current certificate is late: a day after it was due
// by the lifetime.
func RenewalLateAt(notBefore, notAfter time.Time) time.Time {
	return RenewAt(notBefore, notAfter).Add(24 * time.Hour)
}

// ExpiryWarnings returns when the owners of a current certificate are warned that it expires soon,
// in order and in whole seconds. All times are after RenewAt, so that a renewal in time causes no
// warning:
//
//   - lifetimes of 90 days and more: 21, 7, and 1 days before expiry
//   - under 90 days: the first in proportion (10.5 days of 45), or omitted if it would not be
//     before the second
//   - under 21 days: when a quarter and when a tenth of the lifetime is left
func ExpiryWarnings(notBefore, notAfter time.Time) []time.Time {
	const day = 24 * time.Hour
	alarm, life := ExpiryAlarmAt(notBefore, notAfter), notAfter.Sub(notBefore)
	if life < ShortLife {
		return []time.Time{alarm, notAfter.Add(-life / 10).Truncate(time.Second)}
	}
	last := notAfter.Add(-day).Truncate(time.Second)
	if first := notAfter.Add(-min(21*day, life*7/30)).Truncate(time.Second); first.Before(alarm) {
		return []time.Time{first, alarm, last}
	}
	return []time.Time{alarm, last}
}

// ExpiryWarning returns the warning that is due at now, which is the last one reached, and the time
// of the next one. due is zero if none is reached; next is the expiry if none follows.
func ExpiryWarning(notBefore, notAfter, now time.Time) (due, next time.Time) {
	for _, at := range ExpiryWarnings(notBefore, notAfter) {
		if at.After(now) {
			return due, at
		}
		due = at
	}
	return due, notAfter
}
