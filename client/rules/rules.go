// Package rules holds the rules that the Terraform provider, the client, and the control plane
// share: domain names, labels, CSRs, webhooks, durations, and limits. All of it is pure. The
// provider checks a configuration with it before an apply; the control plane checks every request.
//
// It imports the standard library and golang.org/x only, because everything imports it.
package rules

import "strings"

// Error states which rule a value violates. Each caller converts it: the control plane into a
// problem document, the provider into a diagnostic.
type Error struct {
	Code    string // stable code of the control plane's API, for example "name-wildcard"
	Message string // what is invalid, one sentence
	Fix     string // what to do, one or more sentences
}

// Error returns the message and the fix.
func (e *Error) Error() string { return e.Message + " " + e.Fix }

// Quote returns s in quotes for use in a message: valid UTF-8, and shortened to 80 bytes.
func Quote(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return `"` + strings.ToValidUTF8(s, "") + `"`
}
