package api

import (
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// maxErrors is the maximum number of invalid fields and parameters that a problem document
	// lists; its errors_total counts all.
	maxErrors = 50
	// maxEntryErrors is the same limit for one entry of a call that accepts or rejects each entry
	// separately (operation.each).
	maxEntryErrors = 10
)

// faults collects the invalid fields of a request. Its memory does not grow with their number: it
// counts all and keeps at most maxErrors of each kind. The zero value is empty.
type faults struct {
	malformed tally // fields that make the request malformed, such as an unknown one
	invalid   tally // the others
}

// tally counts errors and keeps the first ones, in the order of their pointers.
type tally struct {
	kept  []controlplane.FieldError
	total int
	mixed bool   // they have more than one code
	code  string // of the first that was added
}

func (f *faults) add(e controlplane.FieldError) {
	if isMalformed(e.Code) {
		f.malformed.add(e)
	} else {
		f.invalid.add(e)
	}
}

func (t *tally) add(e controlplane.FieldError) {
	if t.total++; t.total == 1 {
		t.code = e.Code
	}
	t.mixed = t.mixed || e.Code != t.code
	i, _ := slices.BinarySearchFunc(t.kept, e, byPointer)
	if i == maxErrors {
		return
	}
	if len(t.kept) == maxErrors {
		t.kept = t.kept[:maxErrors-1]
	}
	t.kept = slices.Insert(t.kept, i, e)
}

func byPointer(x, y controlplane.FieldError) int { return strings.Compare(x.Pointer, y.Pointer) }

func (f *faults) total() int { return f.malformed.total + f.invalid.total }

// err returns the error about all faults, nil without faults. One malformed field makes the
// whole request malformed, so malformed fields are listed first if not all fit.
func (f *faults) err(op *operation) error {
	if f.total() == 0 {
		return nil
	}
	listed := slices.Concat(f.malformed.kept, f.invalid.kept)
	listed = listed[:min(len(listed), maxErrors)]
	slices.SortStableFunc(listed, byPointer)
	e := &controlplane.Error{Kind: controlplane.KindInvalid, Code: "invalid-fields", Fields: listed,
		FieldsTotal: f.total()}
	deciding := &f.invalid
	if f.malformed.total > 0 {
		e.Kind, e.Code, deciding = controlplane.KindMalformed, "malformed-request", &f.malformed
	}
	if !deciding.mixed {
		e.Code = deciding.code
	}
	first := deciding.kept[0]
	e.Message = first.Detail
	if first.Pointer != "" { // it is about a part of the body
		e.Message = first.Pointer + ": " + first.Detail
	}
	if f.total() > 1 {
		e.Message = "Several fields are invalid; see errors."
	}
	if op != nil {
		switch e.Code {
		case codeUnknownParameter:
			e.Fix = "Parameters of this operation: " + names(op.query) + "."
		case codeUnknownField:
			e.Fix = "Fields of this request: " + names(op.body.Properties) + "."
		}
	}
	return e
}

// fieldsError returns the error about fields.
func fieldsError(fields []controlplane.FieldError, op *operation) error {
	var f faults
	for _, e := range fields {
		f.add(e)
	}
	return f.err(op)
}

// listed returns at most limit field errors of err, and their total number.
func listed(err *controlplane.Error, limit int) ([]controlplane.FieldError, int) {
	return err.Fields[:min(len(err.Fields), limit)], max(err.FieldsTotal, len(err.Fields))
}
