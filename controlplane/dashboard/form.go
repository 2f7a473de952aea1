package dashboard

import (
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// choice is an option of a select element.
type choice struct {
	Value, Label string
	Selected     bool
}

// fieldError returns the text to show next to a field for an error, and the response's status. The
// text is empty if err is nil or has an error page.
func fieldError(err error) (string, int) {
	e := controlplane.AsError(err)
	status, _ := statusOf(e)
	if e.Kind != controlplane.KindInvalid && e.Kind != controlplane.KindConflict {
		return "", status
	}
	return strings.TrimSpace(e.Message + " " + fixFor(e)), status
}

// inputError returns err if it is about invalid input, or nil.
func inputError(err error) *controlplane.Error {
	if err == nil {
		return nil
	}
	if e := controlplane.AsError(err); slices.Contains([]controlplane.Kind{controlplane.KindInvalid,
		controlplane.KindMalformed}, e.Kind) {
		return e
	}
	return nil
}

// lines returns the lines of a text that are not blank, trimmed.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// badForm returns the error for a form that ParseForm cannot read.
func badForm(err error) error {
	return &controlplane.Error{Kind: controlplane.KindMalformed, Code: "form-unreadable",
		Message: "The form is malformed.",
		Fix:     "Go back, reload the page, and submit the form again.", Err: err}
}
