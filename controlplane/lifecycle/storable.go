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

// storableJSON returns a document as jsonb takes it, or nil where it is none.
func storableJSON(raw json.RawMessage) json.RawMessage {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var v any
	if decoder.Decode(&v) != nil {
		return nil
	}
	out, err := json.Marshal(v) // what is no character has become U+FFFD
	if err != nil {
		return nil
	}
	return bytes.ReplaceAll(out, []byte(`\u0000`), []byte(`\ufffd`))
}
