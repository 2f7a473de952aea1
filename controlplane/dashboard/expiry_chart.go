package dashboard

import (
	"fmt"
	"time"
)

// The chart's grid. It is stretched to the room that there is, so these are no pixels.
const (
	chartHeight = 100
	weekWidth   = 20
	barWidth    = 7
)

// chart is a histogram by weeks, for templates/expiry.html to draw.
type chart struct {
	Width, Height int
	Bars          []chartBar
	Highest       int // what a bar of the full height stands for
	Ticks         []string
	Label         string // what it is of, to those who do not see it
}

// chartBar is one rectangle, with the words that it stands for.
type chartBar struct {
	Class               string // renewals, ends or late
	X, Y, Width, Height int
	Title               string
}

// newChart draws, for each week, how many certificates are renewed beside how many end; those
// whose renewal is late are a part of the latter.
func newChart(weeks []weekView, begin time.Time) chart {
	c := chart{Width: len(weeks) * weekWidth, Height: chartHeight,
		Label: fmt.Sprintf("Certificates that end, and renewals that are due, in each of %d weeks. The numbers are in the table below.", len(weeks))}
	for _, w := range weeks {
		c.Highest = max(c.Highest, w.Ends, w.Renewed)
	}
	for i, w := range weeks {
		x := i*weekWidth + 2
		c.add("renewals", x, 0, w.Renewed, w.Label+": "+pluralize(w.Renewed, "renewal is due", "renewals are due"))
		c.add("late", x+barWidth+1, 0, w.Late, w.Label+": "+pluralize(w.Late, "certificate ends whose renewal is late", "certificates end whose renewal is late"))
		c.add("ends", x+barWidth+1, w.Late, w.Ends-w.Late, w.Label+": "+pluralize(w.Ends-w.Late, "certificate ends", "certificates end"))
	}
	for _, i := range []int{0, len(weeks) / 2, len(weeks)} {
		c.Ticks = append(c.Ticks, begin.AddDate(0, 0, 7*i).Format("2 Jan"))
	}
	return c
}

// add puts a bar for n on top of what stands for below. The smallest can still be seen.
func (c *chart) add(class string, x, below, n int, words string) {
	if n == 0 {
		return
	}
	top, foot := c.up(below+n), c.up(below)
	c.Bars = append(c.Bars, chartBar{Class: class, X: x, Y: c.Height - top, Width: barWidth, Height: max(top-foot, 1), Title: words})
}

// up returns how high n is drawn.
func (c *chart) up(n int) int {
	if n == 0 {
		return 0
	}
	return max(n*c.Height/c.Highest, 2)
}
