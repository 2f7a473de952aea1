package soak

import (
	"fmt"
	"strings"
	"time"
)

// summary collects what the cells measured, and their faults.
type summary struct {
	cells, failed int
	several       int                       // cells with an order of several names
	runs          int                       // of jobs
	requests      int                       // the most per order and run
	took          map[string]time.Duration  // the latest certificate by situation
	faults        map[string]map[string]int // cells by kind of fault and step, and by harm
	kinds         map[string]int            // cells by kind of fault
}

func newSummary() *summary {
	return &summary{took: map[string]time.Duration{}, faults: map[string]map[string]int{},
		kinds: map[string]int{}}
}

func (s *summary) add(c *cell) {
	s.cells++
	s.runs += c.runs
	s.requests = max(s.requests, c.result.requests)
	group := string(c.situation) + ", " + string(c.often) + ", alone"
	if c.backup {
		group = string(c.situation) + ", " + string(c.often) + ", with a second CA"
	}
	if c.several {
		group = "several names, " + group
		s.several++
	}
	s.took[group] = max(s.took[group], c.result.took)
	if len(c.faults) > 0 {
		s.failed++
	}
	for _, kind := range c.kinds {
		s.kinds[kind]++
		at := kind + " at " + string(c.stage)
		if s.faults[at] == nil {
			s.faults[at] = map[string]int{}
		}
		s.faults[at][c.harm.name]++
	}
}

// String returns the summary, with a line per kind of fault and step.
func (s *summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d cells, %d of several names, %d job runs, at most %d requests per order and run (limit %d + %d per name)",
		s.cells, s.several, s.runs, s.requests, requestsOfRun, requestsOfAuthorization)
	for _, group := range sortedKeys(s.took) {
		fmt.Fprintf(&b, "\nlatest certificate, %s: %s", group, s.took[group].Round(time.Second))
	}
	if s.failed == 0 {
		return b.String()
	}
	fmt.Fprintf(&b, "\n%d cells failed: %s", s.failed, listed(s.kinds))
	for _, at := range sortedKeys(s.faults) {
		fmt.Fprintf(&b, "\n%s: %s", at, listed(s.faults[at]))
	}
	return b.String()
}
