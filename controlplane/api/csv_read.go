package api

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// csvReader reads CSV as spreadsheets write it: commas, semicolons, or tabs between fields; CR, LF,
// or CRLF; blank rows; a "sep=" line; rows without their last, empty fields. A quotation mark
// within an unquoted field is text. A malformed row ends with its line and affects no other row.
type csvReader struct {
	raw   []byte
	at    int // position of the next row
	line  int // its line, starting at 1
	comma byte
	// again is how many bytes may still be read twice, after malformed rows. Without any, quoted
	// fields end with their line, so that the work is linear.
	again int
}

// csvRow is a row that is not blank.
type csvRow struct {
	line    int
	fields  []string
	problem string // why the row is malformed: the field after fields; "" if it is well-formed
}

// newCSVReader returns a reader of a text that decodeText returned.
func newCSVReader(raw []byte) *csvReader {
	r := &csvReader{raw: raw, line: 1, comma: csvCommas[0], again: len(raw)}
	line := func() []byte {
		line := r.raw[r.at:]
		if end := bytes.IndexAny(line, "\r\n"); end >= 0 {
			line = line[:end]
		}
		return line
	}
	first := line()
	for r.at < len(raw) && len(bytes.TrimSpace(first)) == 0 {
		r.skipLine()
		first = line()
	}
	if sep, ok := bytes.CutPrefix(bytes.ToLower(bytes.Trim(first, `" `)), []byte("sep=")); ok &&
		len(sep) == 1 && strings.Contains(csvCommas, string(sep)) {
		r.comma = sep[0]
		r.skipLine()
		return r
	}
	for i := range len(csvCommas) {
		c := csvCommas[i]
		if bytes.Count(first, []byte{c}) > bytes.Count(first, []byte{r.comma}) {
			r.comma = c
		}
	}
	return r
}

// csvCommas are the delimiters of fields; the first one is the default.
const csvCommas = ",;\t"

// next returns the next row that is not blank. ok is false at the end.
func (r *csvReader) next() (row csvRow, ok bool) {
	for r.at < len(r.raw) {
		start := r.at
		row = csvRow{line: r.line}
		for last := false; !last && row.problem == ""; {
			var field string
			if field, last, row.problem = r.field(); row.problem == "" {
				row.fields = append(row.fields, field)
			}
		}
		if row.problem != "" {
			r.again -= r.at - start
			r.at, r.line = start, row.line
			r.skipLine()
			return row, true
		}
		if !isBlank(row.fields) {
			return row, true
		}
	}
	return csvRow{}, false
}

func isBlank(fields []string) bool {
	for _, f := range fields {
		if f != "" {
			return false
		}
	}
	return true
}

// field reads a field and its delimiter or the end of its line, in which case it is the last one of
// its row.
func (r *csvReader) field() (text string, last bool, problem string) {
	if quoted := r.skipSpace(r.at); quoted < len(r.raw) && r.raw[quoted] == '"' {
		r.at = quoted + 1
		if text, problem = r.quoted(); problem != "" {
			return "", true, problem
		}
	} else {
		end := r.at
		for end < len(r.raw) && !r.ends(r.raw[end]) {
			end++
		}
		text, r.at = string(r.raw[r.at:end]), end
	}
	last = r.at == len(r.raw) || r.raw[r.at] != r.comma
	if last {
		r.endLine()
	} else {
		r.at++
	}
	return strings.TrimSpace(text), last, ""
}

// quoted reads the rest of a quoted field, with its closing quotation mark and the spaces after it.
func (r *csvReader) quoted() (text, problem string) {
	var b strings.Builder
	for r.at < len(r.raw) {
		switch c := r.raw[r.at]; {
		case c == '"' && r.at+1 < len(r.raw) && r.raw[r.at+1] == '"':
			b.WriteByte('"')
			r.at += 2
		case c == '"':
			if r.at = r.skipSpace(r.at + 1); r.at < len(r.raw) && !r.ends(r.raw[r.at]) {
				return "", "Text follows a closing quotation mark. Double each quotation mark within quotes."
			}
			return b.String(), ""
		case c != '\r' && c != '\n':
			b.WriteByte(c)
			r.at++
		case r.again <= 0:
			return "", csvUnclosed
		default:
			b.WriteByte('\n')
			r.endLine()
		}
	}
	return "", csvUnclosed
}

const csvUnclosed = "A quotation mark is not closed. Close it, or double it within quotes."

// ends reports whether c ends an unquoted field.
func (r *csvReader) ends(c byte) bool { return c == r.comma || c == '\r' || c == '\n' }

func (r *csvReader) skipSpace(at int) int {
	for at < len(r.raw) && (r.raw[at] == ' ' || r.raw[at] == '\t' && r.comma != '\t') {
		at++
	}
	return at
}

// skipLine moves to the next line.
func (r *csvReader) skipLine() {
	for r.at < len(r.raw) && r.raw[r.at] != '\r' && r.raw[r.at] != '\n' {
		r.at++
	}
	r.endLine()
}

// endLine moves beyond the end of a line, if there is one here.
func (r *csvReader) endLine() {
	if r.at == len(r.raw) {
		return
	}
	if r.raw[r.at] == '\r' && r.at+1 < len(r.raw) && r.raw[r.at+1] == '\n' {
		r.at++
	}
	r.at++
	r.line++
}

// decodeText returns a text in UTF-8 without a byte order mark. It converts UTF-16, which
// spreadsheets write as "Unicode text". The result may contain bytes that are not UTF-8.
func decodeText(raw []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(raw, []byte("\uFEFF")):
		return raw[len("\uFEFF"):]
	case bytes.HasPrefix(raw, []byte{0xFF, 0xFE}):
		order, raw = binary.LittleEndian, raw[2:]
	case bytes.HasPrefix(raw, []byte{0xFE, 0xFF}):
		order, raw = binary.BigEndian, raw[2:]
	case len(raw) >= 4 && raw[0] != 0 && raw[1] == 0 && raw[2] != 0 && raw[3] == 0:
		order = binary.LittleEndian
	case len(raw) >= 4 && raw[0] == 0 && raw[1] != 0 && raw[2] == 0 && raw[3] != 0:
		order = binary.BigEndian
	default:
		return raw
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = order.Uint16(raw[2*i:])
	}
	return []byte(string(utf16.Decode(units)))
}
