package api

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

func recordsPath(names ...string) string {
	return "/api/delegation?" + url.Values{"name": names}.Encode()
}

// Several names have a list of the records that each has alone, in their order, without an object
// being created.
func TestRecordsOfSeveralNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := make([]string, 100)
	for i := range names {
		names[i] = fmt.Sprintf("N%d.Example.com.", 99-i)
	}
	names[7], names[8] = "bücher.example", names[9]
	before := w.everything()
	list := w.do("GET", recordsPath(names...), nil).is(200).json["data"].([]any)
	if len(list) != len(names) {
		t.Fatalf("%d records, want %d", len(list), len(names))
	}
	for _, i := range []int{0, 7, 8, 9, 99} {
		one := w.do("GET", recordsPath(names[i]), nil).is(200)
		if diff := cmp.Diff(any(one.json), list[i]); diff != "" {
			t.Errorf("record %d, of %s (-alone +in the list):\n%s", i, names[i], diff)
		}
	}
	w.unchanged("GET /api/delegation", before)
}

func TestInvalidRecordNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		names  []string
		status int
		want   []string
	}{
		{nil, 400, []string{"/name invalid-parameter"}},
		{[]string{""}, 422, []string{"/name name-empty"}},
		{[]string{"com"}, 422, []string{"/name name-public-suffix"}},
		{[]string{"a.example.com,b.example.com"}, 422, []string{"/name name-invalid"}},
		{[]string{"a.example.com", "com", "b.example.com", "*.example.com"}, 422,
			[]string{"/name/1 name-public-suffix", "/name/3 name-wildcard"}},
		{[]string{"a.example.com", strings.Repeat("a", 1025), "b\x00"}, 400,
			[]string{"/name/1 invalid-parameter", "/name/2 invalid-parameter"}},
		{slices.Repeat([]string{"a.example.com"}, 101), 400, []string{"/name invalid-parameter"}},
	} {
		a := w.do("GET", recordsPath(tt.names...), nil).is(tt.status)
		if got := a.pointers(); !slices.Equal(got, tt.want) || a.json["fix"] == nil {
			t.Errorf("GET of %.60q = %q, want %q and a fix", tt.names, got, tt.want)
		}
	}
	w.do("GET", "/api/domains?q=a&q=b", nil).problem(400, "invalid-parameter")
}

// A restricted token gets the records of all names of its domains, and of no others.
func TestRecordsForARestrictedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.do("POST", "/api/domains", map[string]any{"name": "mine.example.com",
		"additional_names": []string{"*.mine.example.net", "www.mine.example.com"}}).is(201)
	w.do("POST", "/api/domains", map[string]any{"name": "others.example.com",
		"additional_names": []string{"b.others.example.com"}}).is(201)
	restricted := as(w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		DomainIDs: []string{a.string("id")}}))
	w.do("GET", recordsPath("Mine.example.com", "mine.example.net", "www.mine.example.com"), nil,
		restricted).is(200)
	w.do("GET", recordsPath("mine.example.net"), nil, restricted).is(200)
	for name, code := range map[string]string{"others.example.com": "domain-not-allowed",
		"b.others.example.com": "token-restricted", "new.example.com": "token-restricted"} {
		w.do("GET", recordsPath("mine.example.com", name), nil, restricted).problem(403, code)
	}
}
