package lifecycle

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// storable returns the text without bytes that Postgres rejects, which a CA or browser may send.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// storableVerdict returns a CA's verdict in a form that Postgres can store: a NUL in a text, or
// half of a surrogate pair in the problem document, must not prevent an order from ending.
func storableVerdict(v controlplane.Verdict) controlplane.Verdict {
	v.Message, v.Fix, v.Problem = storable(v.Message), storable(v.Fix), storableJSON(v.Problem)
	return v
}

// problemOf returns the CA's problem document if err is a verdict that has one.
func problemOf(err error) json.RawMessage {
	if j, ok := errors.AsType[controlplane.Judged](err); ok {
		return storableJSON(j.Verdict().Problem)
	}
	return nil
}

// maxProblem is the maximum size of a stored problem document in bytes: every list of domains or
// jobs repeats it.
const maxProblem = 16 << 10

// storableJSON returns a problem document that can be stored as jsonb, or nil if raw is not JSON.
// It shortens a document beyond maxProblem to the fields of RFC 7807 and as many subproblems as
// fit.
func storableJSON(raw json.RawMessage) json.RawMessage {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var v any
	if decoder.Decode(&v) != nil {
		return nil
	}
	out := marshalStorable(v)
	if document, ok := v.(map[string]any); ok && len(out) > maxProblem {
		out = marshalStorable(shortProblem(document))
	}
	if len(out) > maxProblem {
		return nil
	}
	return out
}

func shortProblem(document map[string]any) map[string]any {
	short := map[string]any{}
	for _, field := range []string{"type", "title", "status", "detail", "instance"} {
		switch value := document[field].(type) {
		case string:
			short[field] = controlplane.Shorten(value)
		case json.Number:
			short[field] = value
		}
	}
	all, _ := document["subproblems"].([]any)
	room := maxProblem / 2 // the rest is for the fields, with every character escaped
	var kept []any
	for _, one := range all {
		if room -= len(marshalStorable(one)) + 1; room < 0 {
			break
		}
		kept = append(kept, one)
	}
	if len(kept) > 0 {
		short["subproblems"] = kept
	}
	return short
}

func marshalStorable(v any) json.RawMessage {
	out, err := json.Marshal(v) // invalid characters become U+FFFD
	if err != nil {
		return nil
	}
	return bytes.ReplaceAll(out, []byte(`\u0000`), []byte(`\ufffd`))
}
