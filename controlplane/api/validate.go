package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Codes of wrong parameters and fields. Those of unreadable requests are answered with 400,
// the others with 422.
const (
	codeUnknownField     = "unknown-field"
	codeUnknownParameter = "unknown-parameter"
	codeInvalidParameter = "invalid-parameter"
	codeInvalidLimit     = "invalid-limit"
	codeInvalidCursor    = "invalid-cursor"
	codeRequired         = "field-required"
)

// check holds a request to the operation's parameters and body. What it returns lists all
// that is wrong of one of the two, and nothing of what was sent but names.
func (op *operation) check(w http.ResponseWriter, r *http.Request) error {
	var fields []controlplane.FieldError
	query, err := op.checkQuery(r)
	if err != nil {
		return err
	}
	fields = append(query, op.checkHeaders(r)...)
	if len(fields) > 0 {
		return fieldsError(fields, op)
	}
	if op.body == nil {
		return nil
	}
	return op.checkBody(w, r)
}

func (op *operation) checkQuery(r *http.Request) ([]controlplane.FieldError, error) {
	values := url.Values{}
	if r.URL.RawQuery != "" {
		var err error
		if values, err = url.ParseQuery(r.URL.RawQuery); err != nil {
			return nil, malformed("malformed-query", "The query cannot be read.")
		}
	}
	var fields []controlplane.FieldError
	for name, sent := range values {
		p, known := op.query[name]
		switch {
		case !known:
			fields = append(fields, controlplane.FieldError{Pointer: pointer(name), Code: codeUnknownParameter,
				Detail: "There is no such parameter here."})
		case len(sent) > 1:
			fields = append(fields, p.wrong(name+" was sent more than once."))
		default:
			if detail := p.check(sent[0]); detail != "" {
				fields = append(fields, p.wrong(detail))
			}
		}
	}
	for name, p := range op.query {
		if p.required && len(values[name]) == 0 {
			fields = append(fields, controlplane.FieldError{Pointer: pointer(name), Code: codeInvalidParameter, Detail: name + " is required."})
		}
	}
	return fields, nil
}

func (op *operation) checkHeaders(r *http.Request) []controlplane.FieldError {
	var fields []controlplane.FieldError
	for name, p := range op.headers {
		sent := r.Header[name]
		if len(sent) > 1 { // several lines are one list (RFC 9110 §5.3)
			sent = []string{strings.Join(sent, ", ")}
			r.Header[name] = sent
		}
		if len(sent) == 1 {
			if detail := p.check(sent[0]); detail != "" {
				fields = append(fields, p.wrong(detail))
			}
		}
	}
	return fields
}

// check returns what is wrong with a value, or "".
func (p *parameter) check(value string) string {
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		return p.name + " contains characters that are no text."
	}
	var v any = value
	if p.integer {
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return p.name + ": " + describeBounds(p.schema)
		}
		v = float64(n)
	}
	if value == "" && p.schema.MaxLength != nil {
		return "" // an empty filter is none
	}
	errs := schemaErrors(p.schema.VisitJSON(v, visitOptions...))
	if len(errs) == 0 {
		return ""
	}
	_, detail := describe(errs[0])
	return p.name + ": " + detail
}

// wrong returns the field error of a parameter.
func (p *parameter) wrong(detail string) controlplane.FieldError {
	code := codeInvalidParameter
	switch p.name {
	case "limit":
		code = codeInvalidLimit
	case "cursor":
		code = codeInvalidCursor
	}
	return controlplane.FieldError{Pointer: pointer(p.name), Code: code, Detail: detail}
}

// visitOptions hold values to a schema, all errors at once. Details are off so that no error
// carries the value, which may be a secret, in its text.
var visitOptions = []openapi3.SchemaValidationOption{
	openapi3.VisitAsRequest(),
	openapi3.MultiErrors(),
	openapi3.DisableSchemaErrorDetails(),
	openapi3.WithStringFormatValidators(map[string]openapi3.StringFormatValidator{
		"date-time": openapi3.NewCallbackValidator(func(s string) error {
			_, err := time.Parse(time.RFC3339, s)
			return err
		}),
	}),
}

// fieldsError returns the error about fields, in the order of their pointers. What cannot be
// read decides: one unknown field makes the whole request malformed.
func fieldsError(fields []controlplane.FieldError, op *operation) error {
	slices.SortFunc(fields, func(x, y controlplane.FieldError) int { return strings.Compare(x.Pointer, y.Pointer) })
	e := &controlplane.Error{Kind: controlplane.KindInvalid, Code: "invalid-fields", Fields: fields}
	deciding := fields
	if unreadable := slices.DeleteFunc(slices.Clone(fields), func(f controlplane.FieldError) bool { return !isMalformed(f.Code) }); len(unreadable) > 0 {
		e.Kind, e.Code, deciding = controlplane.KindMalformed, "malformed-request", unreadable
	}
	if !slices.ContainsFunc(deciding, func(f controlplane.FieldError) bool { return f.Code != deciding[0].Code }) {
		e.Code = deciding[0].Code
	}
	e.Message = deciding[0].Pointer + ": " + deciding[0].Detail
	if len(fields) > 1 {
		e.Message = "Several fields are wrong: see errors."
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

func isMalformed(code string) bool {
	switch code {
	case codeUnknownField, codeUnknownParameter, codeInvalidParameter, codeInvalidLimit, codeInvalidCursor:
		return true
	}
	return false
}

const maxPointerToken = 64

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// pointer returns the JSON pointer of a path (RFC 6901 §3), its tokens cut at 64 bytes: they
// are names that a caller made up.
func pointer(path ...string) string {
	var b strings.Builder
	for _, token := range path {
		if len(token) > maxPointerToken {
			token = token[:maxPointerToken] + "…"
		}
		b.WriteByte('/')
		b.WriteString(pointerEscaper.Replace(strings.ToValidUTF8(token, "\uFFFD")))
	}
	return b.String()
}
