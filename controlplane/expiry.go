package controlplane

import "time"

// ShortLife is the lifetime below which a certificate's warnings go by shares of its life instead of days (SPEC §12).
const ShortLife = 21 * 24 * time.Hour

// ExpiryAlarmAt returns from when on a certificate that is still current deserves an alarm: 7 days before its end, or with a
// quarter of its life left where it lives under 21 days. It is one of ExpiryWarnings.
func ExpiryAlarmAt(notBefore, notAfter time.Time) time.Time {
	left := 7 * 24 * time.Hour
	if life := notAfter.Sub(notBefore); life < ShortLife {
		left = life / 4
	}
	return notAfter.Add(-left).Truncate(time.Second)
}

// RenewalLateAt returns from when on a certificate that is still current should long have been
// renewed: a day after its renewal was due by its lifetime.
func RenewalLateAt(notBefore, notAfter time.Time) time.Time {
	return RenewAt(notBefore, notAfter).Add(24 * time.Hour)
}

// ExpiryWarnings returns when it is told of a certificate that is still current that its end is near, in order and in whole
// seconds. All come after RenewAt, so that a renewal in time is told of by none:
//
//   - 90 days and more: 21, 7 and 1 days before the end
//   - under 90 days: the first in proportion (10.5 days of 45), and none where it would not come before the second
//   - under 21 days: with a quarter of the life left, and with a tenth
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

// ExpiryWarning returns the warning that is due at now, the last of those that were reached, and when the next one is. due is
// zero where none was reached; next is the end where no more follows.
func ExpiryWarning(notBefore, notAfter, now time.Time) (due, next time.Time) {
	for _, at := range ExpiryWarnings(notBefore, notAfter) {
		if at.After(now) {
			return due, at
		}
		due = at
	}
	return due, notAfter
}
