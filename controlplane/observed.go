package controlplane

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// How much of what others answer is kept: a customer's name server may send 64 KB of records, and
// each finding is stored, listed, and sent.
const (
	MaxObserved       = 10  // values
	maxObservedLength = 255 // characters of each
)

// Observed joins values as people read them: at most MaxObserved, shortened, and how many more
// there are.
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

// Shorten returns s, or its beginning and "…" where it has more than 255 characters.
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

// SeenBy is a value with those who saw it behind: the value is shortened first, so that they
// stay readable.
func SeenBy(value string, who []string) string {
	by := " [" + shorten(strings.Join(who, ", "), maxObservedLength/2) + "]"
	return shorten(value, maxObservedLength-utf8.RuneCountInString(by)) + by
}
