package dashboard

import (
	"bytes"
	"encoding/json"
)

// acmeProblem is a CA's problem document, folded below what it is the cause of.
type acmeProblem struct {
	ID   string // of the fold: it stays open while the page follows the domain
	Text string
}

// newACMEProblem returns what a CA said about the object of that id, nil where it said nothing.
func newACMEProblem(id string, problem json.RawMessage) *acmeProblem {
	var text bytes.Buffer
	if len(problem) == 0 || json.Indent(&text, problem, "", "  ") != nil {
		return nil
	}
	return &acmeProblem{ID: "acme-" + id, Text: text.String()}
}
