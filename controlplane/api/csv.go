package api

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// decodeCSV reads a list as CSV (RFC 4180): a line of column names, each a field of op.each's
// entries, and a line for each entry. It returns what the same in JSON would be, and the
// lines that the entries stand on, from 1. An empty field is one that is not sent; a value
// that its column cannot have is left as text, for the contract to refuse.
func (op *operation) decodeCSV(raw []byte) (value map[string]any, lines []int, err error) {
	raw = bytes.TrimPrefix(raw, []byte("\uFEFF"))
	if err := checkText(raw); err != nil {
		return nil, nil, err
	}
	in := csv.NewReader(bytes.NewReader(raw))
	columns, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil, malformed("malformed-csv", "The body is empty; its first line names the columns.")
	}
	if err == nil {
		err = op.checkColumns(columns)
	}
	if err != nil {
		return nil, nil, malformedCSV(err, 0)
	}
	most := int(*op.body.Properties[op.each].Value.MaxItems)
	entries := []any{}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, malformedCSV(err, len(columns))
		}
		line, _ := in.FieldPos(0)
		if len(entries) == most {
			return nil, nil, fieldsError([]controlplane.FieldError{{Pointer: pointer("lines", fmt.Sprint(line)), Code: "too-many",
				Detail: fmt.Sprintf("It is entry %d, and there may be %d at once.", most+1, most)}}, op)
		}
		entries, lines = append(entries, op.entryOf(columns, row)), append(lines, line)
	}
	if len(entries) == 0 {
		return nil, nil, fieldsError([]controlplane.FieldError{{Pointer: "/lines/2", Code: "too-few", Detail: "Nothing follows the line of column names."}}, op)
	}
	return map[string]any{op.each: entries}, lines, nil
}

// checkText makes sure that a body is text that can be stored. Its error names the line.
func checkText(raw []byte) error {
	line := 0
	for text := range bytes.Lines(raw) {
		line++
		if !utf8.Valid(text) {
			return malformed("malformed-csv", fmt.Sprintf("Line %d is not UTF-8.", line))
		}
		if bytes.IndexByte(text, 0) >= 0 {
			return malformed("malformed-csv", fmt.Sprintf("Line %d contains the character U+0000, which no text here may have.", line))
		}
	}
	return nil
}

// checkColumns puts the names of columns into the contract's form, and makes sure that each
// is a field, stands there once, and that none is missing that every entry needs.
func (op *operation) checkColumns(columns []string) error {
	entry := op.entry()
	for i, name := range columns {
		columns[i] = strings.ToLower(strings.TrimSpace(name))
		if entry.Properties[columns[i]] == nil {
			return fmt.Errorf("line 1: column %d is not one of %s", i+1, names(entry.Properties))
		}
		if slices.Contains(columns[:i], columns[i]) {
			return fmt.Errorf("line 1: there are two columns %s", columns[i])
		}
	}
	for _, name := range entry.Required {
		if !slices.Contains(columns, name) {
			return fmt.Errorf("line 1: there is no column %s", name)
		}
	}
	return nil
}

// malformedCSV returns the error about what csv.Reader or checkColumns refused.
func malformedCSV(err error, columns int) error {
	text := err.Error()
	if e, ok := errors.AsType[*csv.ParseError](err); ok {
		switch {
		case errors.Is(e.Err, csv.ErrFieldCount):
			text = fmt.Sprintf("line %d has not as many fields as there are columns, which is %d", e.Line, columns)
		case errors.Is(e.Err, csv.ErrBareQuote), errors.Is(e.Err, csv.ErrQuote):
			text = fmt.Sprintf("line %d, column %d: a quotation mark is missing or out of place; within quotes it is doubled", e.Line, e.Column)
		default:
			text = fmt.Sprintf("line %d cannot be read", e.Line)
		}
	}
	return malformed("malformed-csv", strings.ToUpper(text[:1])+text[1:]+".")
}

func (op *operation) entryOf(columns, row []string) map[string]any {
	entry := make(map[string]any, len(columns))
	for i, name := range columns {
		if text := strings.TrimSpace(row[i]); text != "" {
			entry[name] = valueOf(op.entry().Properties[name].Value, text)
		}
	}
	return entry
}

// valueOf returns a CSV field's value by its schema: true or false in any case, labels as
// key=value pairs with semicolons between them, and text.
func valueOf(s *openapi3.Schema, text string) any {
	switch {
	case s.Type.Is(openapi3.TypeBoolean) && strings.EqualFold(text, "true"):
		return true
	case s.Type.Is(openapi3.TypeBoolean) && strings.EqualFold(text, "false"):
		return false
	case s.Type.Is(openapi3.TypeObject):
		pairs := make(map[string]any)
		for pair := range strings.SplitSeq(strings.TrimSuffix(text, ";"), ";") {
			key, value, ok := strings.Cut(pair, "=")
			if key = strings.TrimSpace(key); !ok || pairs[key] != nil {
				return text
			}
			pairs[key] = strings.TrimSpace(value)
		}
		return pairs
	}
	return text
}
