package controlplane

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of observed values: a customer's name server can send 64 KB of records, and each finding
// is stored, listed, and sent.
const (
	MaxObserved       = 10  // values
	maxObservedLength = 255 // characters of each
)

// Observed joins values for display: at most MaxObserved of them, shortened, and the number of the
// others.
func Observed(values []string, separator string) string {
	shown := make([]string, 0, MaxObserved+1)
	for _, v := range values[:min(len(values), MaxObserved)] {
		shown = append(shown, Shorten(v))
	}
	if more := len(values) - len(shown); more > 0 {
		shown = append(shown, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(shown, separator)
}

// Shorten returns s, shortened to 255 characters with "…" at the end if it is longer.
func Shorten(s string) string { return shorten(s, maxObservedLength) }

func shorten(s string, most int) string {
	if len(s) <= most || utf8.RuneCountInString(s) <= most {
		return s
	}
	end := 0
	for range most - 1 {
		_, n := utf8.DecodeRuneInString(s[end:])
		end += n
	}
	return s[:end] + "…"
}

// SeenBy returns a value with its sources. The value is shortened first, so that the sources remain
// readable.
func SeenBy(value string, who []string) string {
	by := " [" + shorten(strings.Join(who, ", "), maxObservedLength/2) + "]"
	return shorten(value, maxObservedLength-utf8.RuneCountInString(by)) + by
}
