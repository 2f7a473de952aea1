package dnscheck_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// TestFindingsAreBounded examines a zone with as many records as a DNS message holds: the findings
// contain 10 values of 255 characters and the count of all.
func TestFindingsAreBounded(t *testing.T) {
	t.Parallel()
	var records []string
	for i := range 150 {
		records = append(records, fmt.Sprintf("_acme-challenge.example.com. 60 IN TXT \"%03d%s\"",
			i, strings.Repeat("t", 250)))
		records = append(records,
			fmt.Sprintf(
				"example.com. 60 IN CAA 0 issue \"ca%03d.example; accounturi=https://ca.example/%s\"", i, strings.Repeat("c", 200)))
		records = append(records, fmt.Sprintf("example.com. 60 IN NS ns%03d.%s.example.net.", i,
			strings.Repeat("n", 60)))
	}
	v := zone.with(records...)
	v.noUDP = true
	e, err := doctor(two(v), two(v)).Examine(t.Context(), "example.com", target, false, bothCAs)
	if err != nil {
		t.Fatal(err)
	}
	d := e.Delegation
	if d.Code != controlplane.CauseTXTConflict || d.Count != 150 ||
		!strings.HasSuffix(d.Observed, "; and 140 more") {
		t.Errorf("delegation: %s, %d values, %q; want %s, 150, … and 140 more", d.Code, d.Count,
			d.Observed, controlplane.CauseTXTConflict)
	}
	bounded(t, "delegation", d.Observed)
	for _, c := range e.CAA {
		if c.Code != controlplane.CauseCAAForbids || c.Count != 150 ||
			!strings.HasSuffix(c.Observed, "; and 140 more") || len(c.Records) != 10 {
			t.Errorf("CAA of %s: %s, %d values, %d records, %q; want %s, 150, 10, … and 140 more",
				c.CA, c.Code, c.Count, len(c.Records), c.Observed, controlplane.CauseCAAForbids)
		}
		bounded(t, "CAA of "+c.CA, c.Observed)
		if n := len(c.Summary) + len(c.Fix); n > 8<<10 {
			t.Errorf("CAA of %s: summary and fix have %d bytes, want at most 8 KiB: %.300s", c.CA,
				n, c.Summary)
		}
	}
	if n := len(d.Fix) + len(d.Summary); n > 8<<10 {
		t.Errorf("delegation: summary and fix have %d bytes, want at most 8 KiB: %.300s", n, d.Fix)
	}
	for _, o := range d.Evidence {
		for _, a := range o.Answer {
			if len(o.Answer) > 10 || o.Count < len(o.Answer) || utf8.RuneCountInString(a) > 255 {
				t.Errorf("evidence of %s %s: %d of %d records, one with %d characters; want 10 of 255 at most", o.Name, o.Type, len(o.Answer), o.Count, utf8.RuneCountInString(a))
			}
		}
	}
	e.Delegation.Evidence = nil
	row, err := json.Marshal(e.Delegation)
	if err != nil || len(row) > 12<<10 {
		t.Errorf("the delegation has %d bytes as JSON, %v; want at most 12 KiB", len(row), err)
	}
}

// TestErrorTextIsBounded examines a zone whose server returns a long explanation of its failure.
func TestErrorTextIsBounded(t *testing.T) {
	t.Parallel()
	v := view{rcode: 2, ede: strings.Repeat("ü", 5000)}
	d := delegation(t, doctor(two(v), nil), "example.com")
	bounded(t, "delegation", d.Observed)
	if !strings.Contains(d.Observed, "…") ||
		!strings.HasSuffix(d.Observed, "[resolver1, resolver2]") {
		t.Errorf("observed: %q, want a shortened text and its sources", d.Observed)
	}
	for _, o := range d.Evidence {
		bounded(t, "error of "+o.Source, o.Error)
	}
}

func bounded(t *testing.T, what, observed string) {
	t.Helper()
	if n := utf8.RuneCountInString(observed); n > 10*255+9*2+len("; and 140 more") {
		t.Errorf("%s: %d characters, want 10 values of 255 at most", what, n)
	}
}
