package lifecycle

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// storable returns a text as Postgres takes it, whatever a CA may have sent.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// storableVerdict returns a CA's verdict as Postgres takes it: a text with a NUL in it, or half
// of a surrogate pair in the problem document, must not keep an order from being ended.
func storableVerdict(v controlplane.Verdict) controlplane.Verdict {
	v.Message, v.Fix, v.Problem = storable(v.Message), storable(v.Fix), storableJSON(v.Problem)
	return v
}

// problemOf returns the CA's problem document, where err is a CA's verdict with one.
func problemOf(err error) json.RawMessage {
	if j, ok := errors.AsType[controlplane.Judged](err); ok {
		return storableJSON(j.Verdict().Problem)
	}
	return nil
}

// maxProblem is the most that is kept of a CA's problem document, in bytes: it is repeated wherever
// the domain or job is listed.
const maxProblem = 16 << 10

// storableJSON returns a problem document as jsonb takes it, or nil where it is none. Of one that
// is too long it keeps the fields of RFC 7807 and as many subproblems as fit.
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
	out, err := json.Marshal(v) // what is no character has become U+FFFD
	if err != nil {
		return nil
	}
	return bytes.ReplaceAll(out, []byte(`\u0000`), []byte(`\ufffd`))
}
