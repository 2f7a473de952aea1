package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// table is the output of bench.
type table struct {
	Machine machine  `json:"machine"`
	Rounds  int      `json:"rounds"`
	Rows    []row    `json:"rows"`
	Notes   []string `json:"notes"`
}

// row is one figure.
type row struct {
	Figure string  `json:"figure"`
	Unit   string  `json:"unit"`
	Ours   float64 `json:"ours"`
	Limit  float64 `json:"limit,omitempty"` // 0: no limit
	// our value divided by the limit: the median of all rounds
	Ratio  float64 `json:"ratio,omitempty"`
	Low    float64 `json:"ratio_low,omitempty"`
	High   float64 `json:"ratio_high,omitempty"`
	Target string  `json:"target,omitempty"`
	Met    *bool   `json:"met,omitempty"`
}

// target is the requirement for a row. Its zero value requires nothing.
type target struct {
	text string
	met  func(r row) bool
}

// ratioAtLeast requires a minimum ratio to the limit, for figures where more is better.
func ratioAtLeast(x float64) target {
	return target{fmt.Sprintf("≥ %.2f", x), func(r row) bool { return r.Ratio >= x }}
}

// ratioAtMost requires a maximum ratio to the limit, for figures where less is better.
func ratioAtMost(x float64) target {
	return target{fmt.Sprintf("≤ %.2f", x), func(r row) bool { return r.Ratio <= x }}
}

// atMost requires a maximum of our value.
func atMost(x float64, unit string) target {
	return target{fmt.Sprintf("≤ %g %s", x, unit), func(r row) bool { return r.Ours <= x }}
}

// add adds a row with the results of the rounds. limit may be empty.
func (t *table) add(figure, unit string, ours, limit []float64, want target) {
	r := row{Figure: figure, Unit: unit, Ours: median(ours), Limit: median(limit)}
	per := ratios(ours, limit)
	r.Ratio = median(per)
	r.Low, r.High = minMax(per)
	t.addRow(r, want)
}

// addPooled adds a row for a percentile over the values of all rounds.
func (t *table) addPooled(figure string, p float64, ours, limit []float64, want target) {
	r := row{Figure: figure, Unit: "ms", Ours: percentile(ours, p), Limit: percentile(limit, p)}
	if r.Limit > 0 {
		r.Ratio = r.Ours / r.Limit
		r.Low, r.High = r.Ratio, r.Ratio
	}
	t.addRow(r, want)
}

func (t *table) addRow(r row, want target) {
	r.Target = want.text
	if want.met != nil {
		met := want.met(r)
		r.Met = &met
	}
	t.Rows = append(t.Rows, r)
}

// keepSlowest removes all of the last n rows but the most that took longest, and those that did not
// meet their target.
func (t *table) keepSlowest(n, most int) {
	from := len(t.Rows) - n
	last := slices.SortedFunc(slices.Values(t.Rows[from:]),
		func(a, b row) int { return cmp.Compare(b.Ours, a.Ours) })
	t.Rows = t.Rows[:from]
	for i, r := range last {
		if i < most || r.Met != nil && !*r.Met {
			t.Rows = append(t.Rows, r)
		}
	}
}

// note adds a line below the table.
func (t *table) note(format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
}

// print writes the table as Markdown that is also aligned for terminals.
func (t *table) print(w io.Writer) {
	lines := [][]string{{"figure", "ours", "limit", "ratio", "range", "target", "met"}}
	for _, r := range t.Rows {
		line := []string{r.Figure, number(r.Ours) + " " + r.Unit, "", "", "", r.Target, ""}
		if r.Limit > 0 {
			line[2], line[3] = number(r.Limit)+" "+r.Unit, fmt.Sprintf("%.2f", r.Ratio)
			if r.Low != r.High {
				line[4] = fmt.Sprintf("%.2f-%.2f", r.Low, r.High)
			}
		}
		if r.Met != nil {
			line[6] = pick(*r.Met, "yes", "NO")
		}
		lines = append(lines, line)
	}
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	_, _ = fmt.Fprintln(w, t.Machine)
	_, _ = fmt.Fprintf(w,
		"Medians of %d alternating rounds; ratio: ours divided by the limit, per round; range: the lowest and highest ratio.\n\n", t.Rounds)
	for n, line := range lines {
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 && i < 5 { // numbers are aligned to the right
				cell = pad + cell
			} else {
				cell += pad
			}
			_, _ = fmt.Fprint(w, "| ", cell, " ")
		}
		_, _ = fmt.Fprintln(w, "|")
		if n == 0 {
			for i, width := range widths {
				_, _ = fmt.Fprint(w, "|", strings.Repeat("-", width+1),
					pick(i > 0 && i < 5, ":", "-"))
			}
			_, _ = fmt.Fprintln(w, "|")
		}
	}
	if len(t.Notes) > 0 {
		_, _ = fmt.Fprintln(w)
	}
	for _, note := range t.Notes {
		_, _ = fmt.Fprintln(w, "-", note)
	}
}

func (t *table) writeJSON(path string) error {
	b, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// number formats three significant digits, and whole numbers in full.
func number(x float64) string {
	switch a := math.Abs(x); {
	case a >= 100 || x == math.Trunc(x) && a >= 1:
		return thousands(fmt.Sprintf("%.0f", x))
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func thousands(s string) string {
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
