package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Codes of invalid parameters and fields. Malformed requests get status 400, others 422.
const (
	codeUnknownField     = "unknown-field"
	codeUnknownParameter = "unknown-parameter"
	codeInvalidParameter = "invalid-parameter"
	codeInvalidLimit     = "invalid-limit"
	codeInvalidCursor    = "invalid-cursor"
	codeRequired         = "field-required"
)

// check validates a request's parameters, then its body. Its error is about one of the two: it
// counts all problems and lists the first maxErrors. It repeats only names from the request, never
// values. Its work is linear in the size of the request, and stops if the client disconnects.
func (op *operation) check(w http.ResponseWriter, r *http.Request) error {
	var wrong faults
	if err := op.checkQuery(r, &wrong); err != nil {
		return err
	}
	op.checkHeaders(r, &wrong)
	if err := wrong.err(op); err != nil {
		return err
	}
	if op.body == nil {
		return nil
	}
	return op.checkBody(w, r)
}

func (op *operation) checkQuery(r *http.Request, wrong *faults) error {
	values := url.Values{}
	if r.URL.RawQuery != "" {
		leave, err := op.takeTurn(r.Context(), len(r.URL.RawQuery))
		if err != nil {
			return err
		}
		defer leave()
		if values, err = url.ParseQuery(r.URL.RawQuery); err != nil {
			return malformed("malformed-query",
				"The query string is malformed or has more than 10,000 parameters.")
		}
	}
	for name, sent := range values {
		p, known := op.query[name]
		switch {
		case !known:
			wrong.add(controlplane.FieldError{Pointer: pointer(name), Code: codeUnknownParameter,
				Detail: "Unknown parameter."})
		case p.list:
			p.checkList(sent, wrong)
		case len(sent) > 1:
			wrong.add(p.wrong(name + " was sent more than once."))
		default:
			if detail := p.check(sent[0]); detail != "" {
				wrong.add(p.wrong(detail))
			}
		}
	}
	if p, known := op.query[paramReplacing]; known && len(values[paramReplacing]) > 0 &&
		values.Get(paramDryRun) != "true" {
		wrong.add(p.wrong("replacing is only allowed with dry_run=true."))
	}
	for name, p := range op.query {
		if p.required && len(values[name]) == 0 {
			wrong.add(controlplane.FieldError{Pointer: pointer(name), Code: codeInvalidParameter,
				Detail: name + " is required."})
		}
	}
	return nil
}

// checkList adds the errors of a parameter that can be repeated, each with the index of its value
// if there are several.
func (p *parameter) checkList(sent []string, wrong *faults) {
	if uint64(len(sent)) > p.maxItems {
		_, detail := ruled(rules.TooMany(p.maxItems))
		wrong.add(p.wrong(p.name + ": " + detail))
		return
	}
	for i, value := range sent {
		if detail := p.check(value); detail != "" {
			e := p.wrong(detail)
			if len(sent) > 1 {
				e.Pointer = pointer(p.name, strconv.Itoa(i))
			}
			wrong.add(e)
		}
	}
}

func (op *operation) checkHeaders(r *http.Request, wrong *faults) {
	for name, p := range op.headers {
		sent := r.Header[name]
		if len(sent) > 1 { // several lines are one list (RFC 9110 §5.3)
			sent = []string{strings.Join(sent, ", ")}
			r.Header[name] = sent
		}
		if len(sent) == 1 {
			if detail := p.check(sent[0]); detail != "" {
				wrong.add(p.wrong(detail))
			}
		}
	}
}

// check returns the problem with a value, "" if it is valid.
func (p *parameter) check(value string) string {
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		return p.name + " contains invalid characters."
	}
	var v any = value
	if p.boolean {
		if value != "true" && value != "false" {
			return p.name + ": It must be true or false."
		}
		return ""
	}
	if p.integer {
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return p.name + ": " + describeBounds(p.schema)
		}
		v = float64(n)
	}
	if value == "" && p.schema.MaxLength != nil {
		return "" // an empty filter means no filter
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

// knownType returns an error that a value is not what, unless the value of a filter is empty, which
// means no filter, or one of known. A misspelled filter would otherwise return an empty list.
func knownType(name, value, what string, known []string) error {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	return fieldsError([]controlplane.FieldError{{Pointer: pointer(name),
		Code: codeInvalidParameter, Detail: name + " is not " + what + controlplane.DidYouMean(value, known)}}, nil)
}

// visitOptions report all violations of a schema. Details are disabled so that no error text
// contains the value, which may be secret.
var visitOptions = []openapi3.SchemaValidationOption{
	openapi3.VisitAsRequest(),
	openapi3.MultiErrors(),
	openapi3.DisableSchemaErrorDetails(),
	openapi3.WithStringFormatValidators(map[string]openapi3.StringFormatValidator{
		"date-time": openapi3.NewCallbackValidator(func(s string) error {
			_, err := rules.ParseTime(s)
			return err
		}),
	}),
}

func isMalformed(code string) bool {
	switch code {
	case codeUnknownField, codeUnknownParameter, codeInvalidParameter, codeInvalidLimit,
		codeInvalidCursor:
		return true
	}
	return false
}

const maxPointerToken = 64

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// pointer returns the JSON pointer of a path (RFC 6901 §3). Its tokens come from the client and are
// cut at 64 bytes.
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
