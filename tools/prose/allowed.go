package main

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
)

//go:embed allowed.txt
var allowedText string

// place is a file and a rule: what the allow list counts by.
type place struct{ path, rule string }

// parseAllowed reads lines of "count rule path".
func parseAllowed(text string) map[place]int {
	allowed := make(map[place]int)
	for line := range strings.Lines(text) {
		var n int
		var p place
		if k, _ := fmt.Sscan(line, &n, &p.rule, &p.path); k == 3 {
			allowed[p] = n
		}
	}
	return allowed
}

func countPlaces(findings []finding) map[place]int {
	counts := make(map[place]int)
	for _, f := range findings {
		counts[place{f.path, f.rule}]++
	}
	return counts
}

// allowance returns the allow list for what was found.
func allowance(findings []finding) string {
	var lines []string
	for p, n := range countPlaces(findings) {
		lines = append(lines, fmt.Sprintf("%d %s %s\n", n, p.rule, p.path))
	}
	slices.SortFunc(lines, func(a, b string) int {
		return strings.Compare(strings.Fields(a)[2]+a, strings.Fields(b)[2]+b)
	})
	return strings.Join(lines, "")
}

// compare returns the findings beyond the allow list, and the entries of the list that are too
// high.
func compare(findings []finding, allowed map[place]int) []string {
	var problems []string
	counts := countPlaces(findings)
	for _, f := range findings {
		if p := (place{f.path, f.rule}); counts[p] > allowed[p] {
			problems = append(problems, f.String())
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(allowed), func(a, b place) int {
		return strings.Compare(a.path+a.rule, b.path+b.rule)
	}) {
		if n := counts[p]; n < allowed[p] {
			problems = append(problems, fmt.Sprintf(
				"tools/prose/allowed.txt: %s has %d of %s, the list allows %d: lower the number",
				p.path, n, p.rule, allowed[p]))
		}
	}
	return problems
}
