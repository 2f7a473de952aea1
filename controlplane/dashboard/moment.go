package dashboard

import (
	"fmt"
	"time"
)

// moment is a point in time as pages show it: relative to now, with UTC in the tooltip. The zero
// moment shows nothing. static/times.js updates the text by the same rules.
type moment struct {
	ISO  string
	UTC  string
	Date string // in UTC
	Text string
}

// at returns t relative to the time of the visit.
func (v *visit) at(t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	return moment{ISO: t.Format(time.RFC3339), UTC: t.Format("2006-01-02 15:04:05 UTC"),
		Date: t.Format("2 Jan 2006"), Text: relative(t.Sub(v.now))}
}

// maybeAt is like at. It returns the zero moment for nil.
func (v *visit) maybeAt(t *time.Time) moment {
	if t == nil {
		return moment{}
	}
	return v.at(*t)
}

// relative returns a duration as text, rounded to its largest unit: 7 days are “7 days”, and not “6
// days”, a second later.
func relative(d time.Duration) string {
	past := d < 0
	if past {
		d = -d
	}
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	in := func(unit time.Duration) int64 { return int64(d.Round(unit) / unit) }
	var s string
	switch {
	case d < 2*time.Second:
		return "now"
	case in(time.Second) < 60:
		s = fmt.Sprintf("%d s", in(time.Second))
	case in(time.Minute) < 60:
		s = fmt.Sprintf("%d min", in(time.Minute))
	case in(time.Hour) < 48:
		s = fmt.Sprintf("%d h", in(time.Hour))
	case in(day) < 2*365:
		s = fmt.Sprintf("%d days", in(day))
	default:
		s = fmt.Sprintf("%d years", in(year))
	}
	if past {
		return s + " ago"
	}
	return "in " + s
}
