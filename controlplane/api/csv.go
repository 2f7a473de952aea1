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

// decodeCSV decodes a list in CSV (RFC 4180): a header line with column names, each a field of
// op.each's entries, and a line per entry. It returns the value of the equivalent JSON body, and
// the line number of each entry, starting at 1. An empty field counts as not sent. A value that is
// invalid for its column stays text, so that the validation rejects it.
func (op *operation) decodeCSV(raw []byte) (value map[string]any, lines []int, err error) {
	raw = bytes.TrimPrefix(raw, []byte("\uFEFF"))
	if err := checkText(raw); err != nil {
		return nil, nil, err
	}
	in := csv.NewReader(bytes.NewReader(raw))
	columns, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil, malformed("malformed-csv",
			"The body is empty: the first line must contain the column names.")
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
			return nil, nil,
				fieldsError([]controlplane.FieldError{{Pointer: pointer("lines", fmt.Sprint(line)),
					Code: "too-many",
					Detail: fmt.Sprintf("Entry %d exceeds the maximum of %d entries.", most+1,
						most)}}, op)
		}
		entries, lines = append(entries, op.entryOf(columns, row)), append(lines, line)
	}
	if len(entries) == 0 {
		return nil, nil,
			fieldsError([]controlplane.FieldError{{Pointer: "/lines/2", Code: "too-few",
				Detail: "No entries follow the header line."}}, op)
	}
	return map[string]any{op.each: entries}, lines, nil
}

// checkText returns an error with the line number if a body is not text that can be stored.
func checkText(raw []byte) error {
	line := 0
	for text := range bytes.Lines(raw) {
		line++
		if !utf8.Valid(text) {
			return malformed("malformed-csv", fmt.Sprintf("Line %d is not UTF-8.", line))
		}
		if bytes.IndexByte(text, 0) >= 0 {
			return malformed("malformed-csv",
				fmt.Sprintf("Line %d contains the character U+0000, which is not allowed.", line))
		}
	}
	return nil
}

// checkColumns normalizes column names. It returns an error for unknown, duplicate, and missing
// columns.
func (op *operation) checkColumns(columns []string) error {
	entry := op.entry()
	for i, name := range columns {
		columns[i] = strings.ToLower(strings.TrimSpace(name))
		if entry.Properties[columns[i]] == nil {
			return fmt.Errorf("line 1: column %d is not one of %s", i+1, names(entry.Properties))
		}
		if slices.Contains(columns[:i], columns[i]) {
			return fmt.Errorf("line 1: duplicate column: %s", columns[i])
		}
	}
	for _, name := range entry.Required {
		if !slices.Contains(columns, name) {
			return fmt.Errorf("line 1: missing column: %s", name)
		}
	}
	return nil
}

// malformedCSV converts an error of csv.Reader or checkColumns.
func malformedCSV(err error, columns int) error {
	text := err.Error()
	if e, ok := errors.AsType[*csv.ParseError](err); ok {
		switch {
		case errors.Is(e.Err, csv.ErrFieldCount):
			text = fmt.Sprintf("line %d: number of fields differs from the %d columns", e.Line,
				columns)
		case errors.Is(e.Err, csv.ErrBareQuote), errors.Is(e.Err, csv.ErrQuote):
			text = fmt.Sprintf(
				"line %d, column %d: a quotation mark is missing or misplaced; double it within quotes", e.Line, e.Column)
		default:
			text = fmt.Sprintf("line %d is unreadable", e.Line)
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

// valueOf converts a CSV field by its schema: booleans in any case, labels as key=value pairs
// separated by semicolons, and text.
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
