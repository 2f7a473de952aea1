package dashboard

import (
	"bytes"
	"encoding/json"
)

// caWords is a CA's problem document, folded below what it is the cause of.
type caWords struct {
	ID   string // of the fold: it stays open while the page follows the domain
	Text string
}

// caWordsOf returns what a CA said about the object of that id, nil where it said nothing.
func caWordsOf(id string, problem json.RawMessage) *caWords {
	var text bytes.Buffer
	if len(problem) == 0 || json.Indent(&text, problem, "", "  ") != nil {
		return nil
	}
	return &caWords{ID: "acme-" + id, Text: text.String()}
}
