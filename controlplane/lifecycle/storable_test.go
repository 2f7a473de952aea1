package lifecycle

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// A CA's problem document is stored unchanged up to 16 KiB, and shortened beyond.
func TestProblemIsBounded(t *testing.T) {
	t.Parallel()
	problem := func(subproblems, detail int) json.RawMessage {
		var subs []string
		for i := range subproblems {
			subs = append(subs,
				fmt.Sprintf(
					`{"identifier":{"type":"dns","value":"n%d.example.com"},"type":"urn:ietf:params:acme:error:caa","detail":"forbidden"}`, i))
		}
		return json.RawMessage(
			`{"type":"urn:ietf:params:acme:error:compound","status":403,"detail":"` +
				strings.Repeat(`\u0000`, detail) + `","subproblems":[` + strings.Join(subs, ",") +
				`],"x":"y"}`)
	}
	for _, tt := range []struct {
		name           string
		in             json.RawMessage
		least, most    int // subproblems kept
		whole, nothing bool
	}{
		{"small", problem(2, 10), 2, 2, true, false},
		{"of 100 names", problem(100, 10), 100, 100, true, false},
		{"of 10,000 names", problem(10_000, 10), 50, 100, false, false},
		{"with a detail of 1 MB", problem(20, 1<<18), 20, 20, false, false},
		{"a string of 1 MB", json.RawMessage(`"` + strings.Repeat("a", 1<<20) + `"`), 0, 0, false,
			true},
		{"no JSON", json.RawMessage(`<html>`), 0, 0, false, true},
	} {
		out := storableJSON(tt.in)
		if len(out) > maxProblem || (len(out) == 0) != tt.nothing {
			t.Errorf("storableJSON(%s) has %d bytes, want at most %d, and none: %v", tt.name,
				len(out), maxProblem, tt.nothing)
		}
		if tt.nothing {
			continue
		}
		var got struct {
			Type        string
			Status      int
			Subproblems []json.RawMessage
			X           string
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Errorf("storableJSON(%s) = %.100s, %v, want JSON", tt.name, out, err)
		}
		n := len(got.Subproblems)
		if got.Type != "urn:ietf:params:acme:error:compound" || got.Status != 403 || n < tt.least ||
			n > tt.most || (got.X == "y") != tt.whole {
			t.Errorf("storableJSON(%s): type %s, status %d, %d subproblems, x %q; want %d to %d subproblems, whole %v", tt.name, got.Type, got.Status, n, got.X, tt.least, tt.most, tt.whole)
		}
	}
}
