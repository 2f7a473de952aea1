package acme

import (
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

func TestMentions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want bool
	}{
		{`Incorrect TXT record "x" found at _acme-challenge.example.com`, true},
		{"CAA record for *.example.com prevents issuance.", true},
		{`already issued for "EXAMPLE.com" in the last 168h`, true},
		{"no TXT record for example.com.", true},
		{"DNS problem looking up www.example.com", false},
		{"example.com.au is not allowed", false},
		{"my-example.com, example.community", false},
		{"", false},
	} {
		if got := mentions(tt.text, "example.com"); got != tt.want {
			t.Errorf("mentions(%q) = %v, want %v", tt.text, got, tt.want)
		}
	}
}

// An error names what it concerns, unless that is the whole order or the CA's text has the name.
func TestConcern(t *testing.T) {
	t.Parallel()
	many := []string{"a.test", "b.test", "c.test", "d.test", "e.test", "f.test", "g.test"}
	for _, tt := range []struct {
		text, want  string
		identifiers []string
		names, left []string
	}{
		{"CA says no.", "CA says no.", nil, many, nil},
		{"CA says no.", "CA says no.", []string{"a.test"}, []string{"a.test", "*.a.test"},
			[]string{"a.test"}},
		{"CA says no.", "CA says no. This concerns b.test.", []string{"B.test"}, many,
			[]string{"b.test"}},
		{"CA rejects *.b.test.", "CA rejects *.b.test.", []string{"*.b.test"}, many,
			[]string{"b.test"}},
		{"CA says no.", "CA says no.", []string{"other.test"}, many, []string{}},
		{"CA says no.", "CA says no. This concerns a.test, b.test, c.test, d.test, e.test, and 1 more.",
			many[:6], many, many[:6]},
	} {
		e := &Error{Message: tt.text, Identifiers: tt.identifiers}
		e.concern(&controlplane.Order{Names: tt.names})
		if e.Message != tt.want || !slices.Equal(e.Identifiers, tt.left) {
			t.Errorf("concern(%q of %q) = %q, %q; want %q, %q", tt.identifiers,
				strings.Join(tt.names, " "), e.Message, e.Identifiers, tt.want, tt.left)
		}
	}
}

// The subproblems of the deciding type have the identifiers (RFC 8555 §6.7.1).
func TestIdentifiersOfSubProblems(t *testing.T) {
	t.Parallel()
	const urn = "urn:ietf:params:acme:error:"
	sub := func(kind, name string) string {
		return `{"type":"` + urn + kind + `","detail":"no","identifier":{"type":"dns","value":"` + name + `"}}`
	}
	for document, want := range map[string][]string{
		`{"type":"` + urn + `caa","detail":"see below","subproblems":[` + sub("caa", "a.test") + `,` +
			sub("dns", "b.test") + `,` + sub("caa", "c.test") + `]}`: {"a.test", "c.test"},
		`{"type":"` + urn + `compound","subproblems":[` + sub("rejectedIdentifier", "*.b.test") +
			`]}`: {"b.test"},
		`{"type":"` + urn + `rateLimited","detail":"too many","subproblems":[` +
			sub("rateLimited", "b.test") + `]}`: {"b.test"},
		`{"type":"` + urn + `malformed","detail":"no"}`: nil,
	} {
		e := problemError(CA{Name: "ca"}, atNewOrder, []byte(document), 403)
		e.concern(&controlplane.Order{Names: []string{"a.test", "b.test", "c.test"}})
		if !slices.Equal(e.Identifiers, want) {
			t.Errorf("Identifiers of %s = %q, want %q", document, e.Identifiers, want)
		}
	}
}
