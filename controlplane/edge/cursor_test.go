package edge_test

import (
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// No cursor makes Decode panic, and only Encode creates a valid one.
func FuzzCursors(f *testing.F) {
	type list struct{ Operation, Org string }
	l, c := list{"listDomains", "org_1"}, edge.Cursors{Key: []byte(strings.Repeat("k", 32))}
	want := edge.Position{Key: "example.com", ID: "dom_1"}
	valid := c.Encode(l, want)
	f.Add(valid)
	f.Add("")
	f.Add("AQ")
	f.Add(valid[:16] + "\r" + valid[16:]) // the standard library's decoder skips the \r
	f.Fuzz(func(t *testing.T, cursor string) {
		got, ok := c.Decode(l, cursor)
		switch {
		case cursor == valid:
			if !ok || got != want {
				t.Fatalf("Decode(%q) = %+v, %v, want %+v, true", cursor, got, ok, want)
			}
		case ok:
			t.Fatalf("Decode(%q) = %+v, true, want false", cursor, got)
		}
	})
}

func TestCursorsOfAnotherList(t *testing.T) {
	t.Parallel()
	type list struct{ Operation, Org string }
	c := edge.Cursors{Key: []byte(strings.Repeat("k", 32))}
	cursor := c.Encode(list{"listDomains", "org_1"}, edge.Position{Key: "a", ID: "b"})
	for _, other := range []list{{"listDomains", "org_2"}, {"listJobs", "org_1"}} {
		if at, ok := c.Decode(other, cursor); ok {
			t.Errorf("Decode(%v, cursor of another list) = %+v, true, want false", other, at)
		}
	}
	other := edge.Cursors{Key: []byte(strings.Repeat("x", 32))}
	if at, ok := other.Decode(list{"listDomains", "org_1"}, cursor); ok {
		t.Errorf("Decode(cursor with another key) = %+v, true, want false", at)
	}
}
