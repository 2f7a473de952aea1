package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Media types of request bodies.
const (
	mediaJSON = "application/json"
	mediaCSV  = "text/csv"
)

// maxBody is the maximum size of a request body in bytes.
const maxBody = 1 << 20

// checkBody reads, decodes, and validates the body, and passes the decoded value to the generated
// binding, so that the body is decoded once and the validated value is the one that is used.
func (op *operation) checkBody(w http.ResponseWriter, r *http.Request) error {
	media, err := op.mediaType(r.Header)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return httpError(http.StatusRequestEntityTooLarge, "body-too-large",
			"The body is larger than 1 MiB.")
	}
	if err != nil {
		return malformed("body-incomplete", "The body ended early, or the connection stalled.")
	}
	if err := r.Context().Err(); err != nil {
		return err
	}
	leave, err := op.takeTurn(r.Context(), len(raw))
	if err != nil {
		return err
	}
	defer leave()
	list := &csvBody{}
	if media == mediaCSV {
		list, err = op.decodeCSV(r.Context(), raw)
		r.Header.Set("Content-Type", mediaJSON) // the binding gets the equivalent JSON value
	} else {
		list.value, err = decode(raw)
	}
	if err != nil {
		return err
	}
	value := list.value
	refused, err := op.checkValue(r.Context(), value)
	if err != nil {
		return err
	}
	maps.Copy(refused, list.refused)
	callOf(r.Context()).lines, callOf(r.Context()).refused = list.lines, refused
	if bytes.Contains(raw, []byte(`\u0000`)) {
		if at := findNUL(value, nil); at != nil {
			return fieldsError([]controlplane.FieldError{{Pointer: pointer(at...),
				Code:   "invalid-character",
				Detail: "It contains the character U+0000, which is not allowed."}}, op)
		}
	}
	r.Body = &checkedBody{Reader: bytes.NewReader(raw), value: value}
	return nil
}

// mediaType returns the media type of the body, which must be one of the operation's types.
func (op *operation) mediaType(h http.Header) (string, error) {
	unsupported := func(what string) (string, error) {
		return "", httpError(http.StatusUnsupportedMediaType, "unsupported-media-type", what)
	}
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case err == nil && (media == mediaJSON || media == mediaCSV && op.csv):
	case op.csv:
		return unsupported("The body's Content-Type is neither application/json nor text/csv.")
	default:
		return unsupported("The body's Content-Type is not application/json.")
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") &&
		(media != mediaCSV || !isUTF16(charset)) {
		return unsupported("The body's charset is not UTF-8 (RFC 8259 §8.1).")
	}
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return unsupported("The body has a Content-Encoding, which is not supported.")
	}
	return media, nil
}

func isUTF16(charset string) bool {
	return slices.Contains([]string{"utf-16", "utf-16le", "utf-16be"}, strings.ToLower(charset))
}

// decode decodes exactly one JSON object. Its errors contain the position of the problem, but never
// content of the body.
func decode(raw []byte) (map[string]any, error) {
	bad := func(format string, args ...any) (map[string]any, error) {
		return nil, malformed("malformed-json", fmt.Sprintf(format, args...))
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return bad("The body is empty.")
	}
	if !utf8.Valid(raw) {
		return bad("The body is not UTF-8 (RFC 8259 §8.1).")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		offset := dec.InputOffset()
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			offset = syntax.Offset
		}
		line, column := position(raw, offset)
		return bad("Invalid JSON at line %d, column %d.", line, column)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		line, column := position(raw, dec.InputOffset())
		return bad("Unexpected data after the JSON object at line %d, column %d.", line, column)
	}
	object, ok := value.(map[string]any)
	if !ok {
		return bad("The body is JSON, but not an object.")
	}
	return object, nil
}

func position(raw []byte, offset int64) (line, column int) {
	before := raw[:min(int64(len(raw)), max(offset, 0))]
	line = bytes.Count(before, []byte{'\n'}) + 1
	return line, max(len(before)-1-bytes.LastIndexByte(before, '\n'), 1)
}

func schemaErrors(err error) []*openapi3.SchemaError {
	switch e := err.(type) { //nolint:errorlint // visits all errors in the tree
	case nil:
		return nil
	case *openapi3.SchemaError:
		return []*openapi3.SchemaError{e}
	case openapi3.MultiError:
		var all []*openapi3.SchemaError
		for _, inner := range e {
			all = append(all, schemaErrors(inner)...)
		}
		return all
	}
	return []*openapi3.SchemaError{{SchemaField: "schema", Schema: &openapi3.Schema{}}}
}

// describe returns the code and text for a value that violates its schema. The text depends only on
// the schema.
func describe(e *openapi3.SchemaError) (code, detail string) {
	switch e.SchemaField {
	case "required":
		return codeRequired, "It is required."
	case "type":
		return "wrong-type", "It must be of type " + strings.Join(e.Schema.Type.Slice(), " or ") +
			"."
	case "nullable":
		return "wrong-type", "It must not be null."
	case "enum":
		allowed := make([]string, len(e.Schema.Enum))
		for i, v := range e.Schema.Enum {
			allowed[i] = fmt.Sprint(v)
		}
		return ruled(rules.NotOneOf(allowed))
	case "minimum", "maximum":
		return "out-of-range", describeBounds(e.Schema)
	case "maxLength":
		return ruled(rules.TooLong(*e.Schema.MaxLength))
	case "minLength":
		return ruled(rules.TooShort(e.Schema.MinLength))
	case "maxItems":
		return ruled(rules.TooMany(*e.Schema.MaxItems))
	case "maxProperties":
		return ruled(rules.TooMany(*e.Schema.MaxProps))
	case "minItems", "minProperties":
		return "too-few", "It must not be empty."
	case "format":
		_, err := rules.ParseTime("")
		return ruled(err)
	case "pattern":
		return "invalid-format", "It must match " + e.Schema.Pattern + "."
	}
	return "invalid-value", "It does not match the contract."
}

// ruled returns the code and the text of a rule's error.
func ruled(err error) (code, detail string) {
	if e, ok := errors.AsType[*rules.Error](err); ok {
		return e.Code, e.Message
	}
	return "invalid-value", err.Error()
}

func describeBounds(s *openapi3.Schema) string {
	if s.Min != nil && s.Max != nil {
		return "It must be a whole number from " + plainNumber(*s.Min) + " to " +
			plainNumber(*s.Max) + "."
	}
	return "It must be a whole number."
}

// plainNumber formats a number without an exponent.
func plainNumber(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// findNUL returns the path of a string or name in value that contains U+0000, which Postgres cannot
// store.
func findNUL(value any, path []string) []string {
	switch v := value.(type) {
	case string:
		if strings.ContainsRune(v, 0) {
			return path
		}
	case []any:
		for i, item := range v {
			if at := findNUL(item, append(slices.Clone(path), fmt.Sprint(i))); at != nil {
				return at
			}
		}
	case map[string]any:
		for name, item := range v {
			at := append(slices.Clone(path), name)
			if strings.ContainsRune(name, 0) {
				return path
			}
			if found := findNUL(item, at); found != nil {
				return found
			}
		}
	}
	return nil
}

// checkedBody is a body that was read, decoded, and validated. The generated binding uses the value
// (runtime.BindJSONBody).
type checkedBody struct {
	*bytes.Reader
	value any
}

func (b *checkedBody) Close() error        { return nil }
func (b *checkedBody) ValidatedValue() any { return b.value }
