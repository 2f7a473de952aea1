package dashboard

import (
	"fmt"
	"time"
)

// The chart's coordinate system. The chart is stretched to the available width.
const (
	chartHeight = 100
	weekWidth   = 20
	barWidth    = 7
)

// chart is a weekly histogram. templates/expiry.html draws it.
type chart struct {
	Width, Height int
	Bars          []chartBar
	Highest       int // value of a bar of full height
	Ticks         []string
	Label         string // for screen readers
}

// chartBar is a rectangle with its tooltip.
type chartBar struct {
	Class               string // renewals, ends or late
	X, Y, Width, Height int
	Title               string
}

// newChart draws two bars for each week: due renewals, and expiring certificates. The latter are
// divided into those with a late renewal and the others.
func newChart(weeks []weekView, begin time.Time) chart {
	c := chart{Width: len(weeks) * weekWidth, Height: chartHeight,
		Label: fmt.Sprintf(
			"Expiring certificates and due renewals in each of %d weeks. The table below has the numbers.", len(weeks))}
	for _, w := range weeks {
		c.Highest = max(c.Highest, w.Ends, w.Renewed)
	}
	for i, w := range weeks {
		x := i*weekWidth + 2
		c.add("renewals", x, 0, w.Renewed, w.Label+": "+
			pluralize(w.Renewed, "renewal due", "renewals due"))
		c.add("late", x+barWidth+1, 0, w.Late, w.Label+": "+
			pluralize(w.Late, "certificate expires with a late renewal",
				"certificates expire with a late renewal"))
		c.add("ends", x+barWidth+1, w.Late, w.Ends-w.Late, w.Label+": "+
			pluralize(w.Ends-w.Late, "certificate expires", "certificates expire"))
	}
	for _, i := range []int{0, len(weeks) / 2, len(weeks)} {
		c.Ticks = append(c.Ticks, begin.AddDate(0, 0, 7*i).Format("2 Jan"))
	}
	return c
}

// add stacks a bar for n on top of a bar for below. Every bar is at least one unit high.
func (c *chart) add(class string, x, below, n int, words string) {
	if n == 0 {
		return
	}
	top, foot := c.up(below+n), c.up(below)
	c.Bars = append(c.Bars, chartBar{Class: class, X: x, Y: c.Height - top, Width: barWidth,
		Height: max(top-foot, 1), Title: words})
}

// up returns the height of a bar for n. It is at least 2 so that small values are visible.
func (c *chart) up(n int) int {
	if n == 0 {
		return 0
	}
	return max(n*c.Height/c.Highest, 2)
}
