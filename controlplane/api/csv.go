package api

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// csvBody is a list in CSV, decoded.
type csvBody struct {
	value   map[string]any  // of the equivalent JSON body
	lines   []int           // line number of each entry, starting at 1
	refused map[int]*faults // entries whose row is malformed, with pointers relative to the entry
}

// decodeCSV decodes a list in CSV, see csvReader: a header line with column names, each a field of
// op.each's entries, and a row per entry. An empty field counts as not sent. A value that is
// invalid for its column stays text, so that the validation rejects it. It returns an error about
// the header and about the number of rows only; a malformed row is an entry that is refused.
func (op *operation) decodeCSV(ctx context.Context, raw []byte) (*csvBody, error) {
	in := newCSVReader(decodeText(raw))
	header, ok := in.next()
	if !ok {
		return nil, malformed("malformed-csv",
			"The body is empty: the first line must contain the column names.")
	}
	columns, err := op.columns(header, in.comma)
	if err != nil {
		return nil, err
	}
	most := int(*op.body.Properties[op.each].Value.MaxItems)
	body := &csvBody{refused: make(map[int]*faults)}
	entries := []any{}
	for {
		row, ok := in.next()
		if !ok {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(entries) == most {
			return nil, op.rowsError(row.line, "too-many",
				fmt.Sprintf("Entry %d exceeds the maximum of %d entries.", most+1, most))
		}
		entry, wrong := op.entryOf(columns, row)
		if wrong.total() > 0 {
			body.refused[len(entries)] = wrong
		}
		entries, body.lines = append(entries, entry), append(body.lines, row.line)
	}
	if len(entries) == 0 {
		return nil, op.rowsError(header.line+1, "too-few", "No entries follow the header line.")
	}
	body.value = map[string]any{op.each: entries}
	return body, nil
}

func (op *operation) rowsError(line int, code, detail string) error {
	return fieldsError([]controlplane.FieldError{{Pointer: pointer("lines", strconv.Itoa(line)),
		Code: code, Detail: detail}}, op)
}

// columns returns the normalized column names of the header, "" for columns without a name, which
// spreadsheets add at the end. It returns an error for unknown, duplicate, and missing columns.
func (op *operation) columns(header csvRow, comma byte) ([]string, error) {
	entry := op.entry()
	bad := func(format string, args ...any) ([]string, error) {
		return nil, malformed("malformed-csv", fmt.Sprintf("Line %d: ", header.line)+
			fmt.Sprintf(format, args...))
	}
	if header.problem != "" {
		return bad("%s", header.problem)
	}
	columns := make([]string, len(header.fields))
	for i, field := range header.fields {
		name := strings.ToLower(field)
		switch {
		case name == "":
			continue
		case !utf8.ValidString(field):
			return bad("The column names are not UTF-8.")
		case entry.Properties[name] == nil:
			return bad("The name of column %d is not one of %s. Fields are separated by %s here.",
				i+1, names(entry.Properties), csvCommaNames[comma])
		case slices.Contains(columns[:i], name):
			return bad("Duplicate column: %s.", name)
		}
		columns[i] = name
	}
	for _, name := range entry.Required {
		if !slices.Contains(columns, name) {
			return bad("Missing column: %s.", name)
		}
	}
	return columns, nil
}

var csvCommaNames = map[byte]string{',': "commas", ';': "semicolons", '\t': "tabs"}

// entryOf returns the entry of a row, and the errors of its fields. An entry with an error has only
// its name.
func (op *operation) entryOf(columns []string, row csvRow) (map[string]any, *faults) {
	entry, wrong := make(map[string]any, len(columns)), &faults{}
	for i, text := range row.fields {
		switch {
		case text == "":
		case i >= len(columns) || columns[i] == "":
			wrong.add(controlplane.FieldError{Code: "too-many", Detail: fmt.Sprintf(
				"Field %d has no column: the header names %d.", i+1, named(columns))})
			return onlyName(entry), wrong
		default:
			if detail := badText(text); detail != "" {
				wrong.add(controlplane.FieldError{Pointer: pointer(columns[i]),
					Code: "invalid-character", Detail: detail})
				continue
			}
			entry[columns[i]] = valueOf(op.entry().Properties[columns[i]].Value, text)
		}
	}
	if row.problem != "" {
		at := ""
		if i := len(row.fields); i < len(columns) && columns[i] != "" {
			at = pointer(columns[i])
		}
		wrong.add(controlplane.FieldError{Pointer: at, Code: "malformed-csv", Detail: row.problem})
	}
	if wrong.total() > 0 {
		return onlyName(entry), wrong
	}
	return entry, wrong
}

// badText returns why a field cannot be stored, "" if it can.
func badText(text string) string {
	switch {
	case !utf8.ValidString(text):
		return "It is not UTF-8. In a spreadsheet, save the file as CSV UTF-8."
	case strings.ContainsRune(text, 0):
		return "It contains the character U+0000, which is not allowed."
	}
	return ""
}

func named(columns []string) int {
	return len(columns) - len(slices.DeleteFunc(slices.Clone(columns),
		func(name string) bool { return name != "" }))
}

// onlyName returns an entry that shows which row was refused.
func onlyName(entry map[string]any) map[string]any {
	name, _ := entry["name"].(string)
	return map[string]any{"name": name}
}

// valueOf converts a CSV field by its schema: booleans in any case, lists, labels as key=value
// pairs, and text.
func valueOf(s *openapi3.Schema, text string) any {
	switch {
	case s.Type.Is(openapi3.TypeBoolean) && strings.EqualFold(text, "true"):
		return true
	case s.Type.Is(openapi3.TypeBoolean) && strings.EqualFold(text, "false"):
		return false
	case s.Type.Is(openapi3.TypeArray):
		list := []any{}
		for _, part := range parts(text) {
			list = append(list, part)
		}
		return list
	case s.Type.Is(openapi3.TypeObject):
		return pairsOf(text)
	}
	return text
}

// parts divides a field at its semicolons or, if it has none, at white space.
func parts(text string) []string {
	if !strings.Contains(text, ";") {
		return strings.Fields(text)
	}
	var list []string
	for part := range strings.SplitSeq(text, ";") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// pairsOf returns the key=value pairs of a field, or the field if it does not consist of such
// pairs. Without semicolons, white space separates pairs only if every part is a pair: otherwise,
// it belongs to a value.
func pairsOf(text string) any {
	list := parts(text)
	if !strings.Contains(text, ";") && slices.ContainsFunc(list,
		func(part string) bool { return !strings.Contains(part, "=") }) {
		list = []string{text}
	}
	pairs := make(map[string]any, len(list))
	for _, part := range list {
		key, value, ok := strings.Cut(part, "=")
		if key = strings.TrimSpace(key); !ok || pairs[key] != nil {
			return text
		}
		pairs[key] = strings.TrimSpace(value)
	}
	return pairs
}
