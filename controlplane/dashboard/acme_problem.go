package dashboard

import (
	"bytes"
	"encoding/json"
)

// acmeProblem is a CA's problem document, shown in a collapsed element.
type acmeProblem struct {
	ID   string // of the element, so that live updates keep it open
	Text string
}

// newACMEProblem returns the problem document for the object with this ID, or nil if problem is
// empty.
func newACMEProblem(id string, problem json.RawMessage) *acmeProblem {
	var text bytes.Buffer
	if len(problem) == 0 || json.Indent(&text, problem, "", "  ") != nil {
		return nil
	}
	return &acmeProblem{ID: "acme-" + id, Text: text.String()}
}
