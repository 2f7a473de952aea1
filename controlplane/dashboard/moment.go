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

// relative returns a duration as text, in its largest unit.
func relative(d time.Duration) string {
	past := d < 0
	if past {
		d = -d
	}
	var s string
	switch {
	case d < 2*time.Second:
		return "now"
	case d < time.Minute:
		s = fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		s = fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		s = fmt.Sprintf("%d h", d/time.Hour)
	case d < 2*365*24*time.Hour:
		s = fmt.Sprintf("%d days", d/(24*time.Hour))
	default:
		s = fmt.Sprintf("%d years", d/(365*24*time.Hour))
	}
	if past {
		return s + " ago"
	}
	return "in " + s
}
