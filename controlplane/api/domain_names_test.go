package api

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// strings returns a list of strings of the response.
func (a *answer) strings(field string) []string {
	a.t.Helper()
	list, ok := a.json[field].([]any)
	if !ok {
		a.t.Fatalf("%s = %v, want a list: %s", field, a.json[field], a.body)
	}
	out := make([]string, len(list))
	for i, item := range list {
		out[i], _ = item.(string)
	}
	return out
}

// records returns the targets of a domain's delegations by "name state cause".
func (a *answer) records() map[string]string {
	a.t.Helper()
	all, ok := a.json["delegations"].(map[string]any)
	if !ok {
		a.t.Fatalf("delegations = %v, want a map: %s", a.json["delegations"], a.body)
	}
	out := make(map[string]string, len(all))
	for name, item := range all {
		one := item.(map[string]any)
		cause := any("-")
		if c, ok := one["cause"].(map[string]any); ok {
			cause = c["code"]
		}
		if one["name"] != "_acme-challenge."+name || one["type"] != "CNAME" {
			a.t.Errorf("delegations[%s] = %v, want the record of the name", name, one)
		}
		out[fmt.Sprint(name, " ", one["state"], " ", cause)], _ = one["target"].(string)
	}
	return out
}

func keys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// A domain has its additional names from its creation to its deletion, in canonical form and any
// order, with a record for each base name.
func TestDomainWithAdditionalNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.do("POST", "/api/domains", map[string]any{"name": "shop.example.com",
		"additional_names": []string{"WWW.shop.example.com.", "*.BÜcher.example"},
		"issue_partial":    true}).is(201)
	names := []string{"*.xn--bcher-kva.example", "www.shop.example.com"}
	if got := a.strings("additional_names"); !slices.Equal(got, names) ||
		a.json["issue_partial"] != true {
		t.Errorf("POST = %s, want the names %q and issue_partial", a.body, names)
	}
	records := a.records()
	if got, want := keys(records), []string{"shop.example.com unchecked -",
		"www.shop.example.com unchecked -",
		"xn--bcher-kva.example unchecked -"}; !slices.Equal(got, want) {
		t.Errorf("delegations = %q, want %q", got, want)
	}
	for name, target := range records {
		base, _, _ := strings.Cut(name, " ")
		planned := w.do("GET", "/api/delegation?name="+base, nil).is(200).string("target")
		if target != planned {
			t.Errorf("target of %s = %s, want the planned %s", base, target, planned)
		}
	}
	path := "/api/domains/" + a.string("id")
	read := w.do("GET", path, nil).is(200)
	if read.body != a.body || read.header.Get("ETag") != a.header.Get("ETag") {
		t.Errorf("GET = %s, want the response to POST: %s", read.body, a.body)
	}
	list := w.do("GET", "/api/domains", nil).is(200)
	if diff := cmp.Diff(a.json, list.json["data"].([]any)[0]); diff != "" {
		t.Errorf("in the list (-POST +GET):\n%s", diff)
	}

	entries := w.count(`SELECT count(*) FROM audit_logs`)
	same := w.do("PATCH", path, map[string]any{"additional_names": []string{"www.SHOP.example.com",
		"*.bücher.example."}}).is(200)
	if same.body != a.body || same.header.Get("ETag") != a.header.Get("ETag") ||
		w.count(`SELECT count(*) FROM audit_logs`) != entries {
		t.Errorf("PATCH of the same set = %s, want no change of %s", same.body, a.body)
	}
	b := w.do("PATCH", path, map[string]any{"additional_names": []string{"b.example.net"}}).is(200)
	if got, want := keys(b.records()), []string{"b.example.net unchecked -",
		"shop.example.com unchecked -"}; !slices.Equal(got, want) {
		t.Errorf("delegations after PATCH = %q, want %q", got, want)
	}
	if b.json["options_revision"] != 2.0 ||
		b.header.Get("ETag") == a.header.Get("ETag") {
		t.Errorf("PATCH = %s, want another revision and ETag", b.body)
	}
	w.do("GET", "/api/delegations/www.shop.example.com", nil).problem(404, "not-found")
	none := w.do("PATCH", path, map[string]any{"additional_names": []string{}}).is(200)
	if got := none.strings("additional_names"); len(got) != 0 {
		t.Errorf("additional_names after PATCH with an empty list = %q, want none", got)
	}
	log := w.do("GET", "/api/audit-logs?entity="+a.string("id")+"&action=domain.updated", nil).is(200)
	last := log.json["data"].([]any)[1].(map[string]any)
	if got, want := fmt.Sprint(last["before"].(map[string]any)["additional_names"], " ",
		last["after"].(map[string]any)["additional_names"]),
		"[*.xn--bcher-kva.example www.shop.example.com] [b.example.net]"; got != want {
		t.Errorf("before and after of the change = %s, want %s", got, want)
	}
}

// The results of all delegations are in the domain, whichever domain's check found them, and change
// its ETag.
func TestStateOfEachDelegation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do("POST", "/api/delegations", map[string]any{"name": "pinned.example.com"}).is(201)
	w.exec(`UPDATE delegations SET state = 'delegated', diagnosis = '{"code":"ok","summary":"Fine."}'`)
	body := map[string]any{"name": "example.com",
		"additional_names": []string{"pinned.example.com", "*.b.example.net"}}
	a := w.do("POST", "/api/domains", body, key("once")).is(201)
	want := []string{"b.example.net unchecked -", "example.com unchecked -",
		"pinned.example.com delegated -"}
	if got := keys(a.records()); !slices.Equal(got, want) {
		t.Errorf("delegations of POST = %q, want %q", got, want)
	}
	if again := w.do("POST", "/api/domains", body, key("once")).is(201); again.body != a.body {
		t.Errorf("the repeat = %s, want %s", again.body, a.body)
	}
	w.exec(`UPDATE delegations SET state = 'broken', diagnosis = '{"code":"cname-mismatch","summary":"Elsewhere.","fix":"Change it."}'
		WHERE name = 'b.example.net'`)
	path := "/api/domains/" + a.string("id")
	want[0] = "b.example.net broken cname-mismatch"
	b := w.do("GET", path, nil, header("If-None-Match", a.header.Get("ETag"))).is(200)
	for what, got := range map[string]*answer{
		"GET":   b,
		"PATCH": w.do("PATCH", path, map[string]any{"issue_partial": false}).is(200),
	} {
		if diff := cmp.Diff(want, keys(got.records())); diff != "" {
			t.Errorf("delegations of %s (-want +got):\n%s", what, diff)
		}
	}
	bulk := w.do("POST", "/api/domains/bulk", map[string]any{"domains": []any{body, body,
		map[string]any{"name": "b.example.net"}}}).is(200)
	for i, wanted := range [][]string{want, want, want[:1]} {
		one := bulk.json["data"].([]any)[i].(map[string]any)["domain"].(map[string]any)
		if diff := cmp.Diff(wanted, keys((&answer{t: t, json: one}).records())); diff != "" {
			t.Errorf("delegations of entry %d (-want +got):\n%s", i, diff)
		}
	}
	w.do("PATCH", path, map[string]any{"auto_renew": false},
		header("If-Match", b.header.Get("ETag"))).is(200)
	w.do("PATCH", path, map[string]any{"auto_renew": true},
		header("If-Match", b.header.Get("ETag"))).problem(412, "precondition-failed")
}

// Each invalid name is reported by its index, at creation, in a change, and in bulk.
func TestInvalidAdditionalNamesByIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "example.com")
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf("n%d.example.net", i)
	}
	before := w.everything()
	for what, tt := range map[string]struct {
		options map[string]any
		want    []string
	}{
		"each name": {map[string]any{"wildcard": true, "additional_names": []string{
			"ok.example.net", "co.uk", "www.example.com", "OK.example.net.", "x.acme.dcvaas.test",
			"", "*.*.example.net", "192.0.2.1"}}, []string{
			"/additional_names/1 name-public-suffix", "/additional_names/2 name-redundant",
			"/additional_names/3 name-duplicate", "/additional_names/4 name-in-zone",
			"/additional_names/5 name-empty", "/additional_names/6 name-wildcard",
			"/additional_names/7 name-ip"}},
		"the domain's name": {map[string]any{"additional_names": []string{"EXAMPLE.com"}},
			[]string{"/additional_names/0 name-duplicate"}},
		"a wildcard over the domain": {map[string]any{"additional_names": []string{"a.example.net",
			"*.example.net"}}, []string{"/additional_names/0 name-redundant"}},
		"101 names":        {map[string]any{"additional_names": many}, []string{"/additional_names too-many"}},
		"101 with its own": {map[string]any{"additional_names": many[:100]}, []string{"/additional_names names-too-many"}},
		"26 for a profile": {map[string]any{"additional_names": many[:25], "profile": "shortlived"},
			[]string{"/additional_names names-too-many"}},
		"a type": {map[string]any{"additional_names": []any{"a.example.net", 5}},
			[]string{"/additional_names/1 wrong-type"}},
		"null": {map[string]any{"additional_names": nil},
			[]string{"/additional_names wrong-type"}},
	} {
		a := w.do("PATCH", "/api/domains/"+d.ID, tt.options).is(422)
		if got := a.pointers(); !slices.Equal(got, tt.want) || a.json["fix"] == nil {
			t.Errorf("%s: PATCH = %q, want %q and a fix: %s", what, got, tt.want, a.body)
		}
		entry := maps.Clone(tt.options)
		entry["name"] = "example.com"
		for _, path := range []string{"/api/domains", "/api/domains?dry_run=true"} {
			if got := w.do("POST", path, entry).is(422).pointers(); !slices.Equal(got, tt.want) {
				t.Errorf("%s: POST %s = %q, want %q", what, path, got, tt.want)
			}
		}
		bulk := w.do("POST", "/api/domains/bulk", map[string]any{"domains": []any{entry}}).is(200)
		one := bulk.json["data"].([]any)[0].(map[string]any)
		want := make([]string, len(tt.want))
		for i := range want {
			want[i] = "/domains/0" + tt.want[i]
		}
		if got := (&answer{t: t, json: one}).pointers(); !slices.Equal(got, want) ||
			one["status"] != "refused" {
			t.Errorf("%s: bulk = %v with %q, want %q", what, one["status"], got, want)
		}
	}
	w.unchanged("an invalid request", before)
}

// A CSR must have exactly the names of the domain, in any order, and excludes a partial
// certificate.
func TestAdditionalNamesWithACSR(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := map[string]any{"name": "example.com", "additional_names": []string{"b.example.net"},
		"csr_pem": newCSR(t, "example.com")}
	a := w.do("POST", "/api/domains", body).problem(422, "csr-names")
	if !strings.Contains(a.string("detail"), "b.example.net") {
		t.Errorf("detail = %q, want the missing name", a.string("detail"))
	}
	body["csr_pem"], body["issue_partial"] = newCSR(t, "b.example.net", "example.com"), true
	a = w.do("POST", "/api/domains", body).problem(422, "partial-with-csr")
	if got := a.pointers(); !slices.Equal(got, []string{"/issue_partial partial-with-csr"}) {
		t.Errorf("fields = %q, want /issue_partial", got)
	}
	body["issue_partial"] = false
	id := w.do("POST", "/api/domains", body).is(201).string("id")
	w.do("PATCH", "/api/domains/"+id, map[string]any{"issue_partial": true}).problem(422,
		"partial-with-csr")
	w.do("PATCH", "/api/domains/"+id, map[string]any{"additional_names": []string{}}).problem(422,
		"csr-names")
	w.do("PATCH", "/api/domains/"+id, map[string]any{"additional_names": []string{},
		"csr_pem": nil, "issue_partial": true}).is(200)
}

// Names count as delegations against the plan, and a dry run says so.
func TestAdditionalNamesBeyondThePlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`UPDATE organizations SET delegation_limit = 3 WHERE id = $1`, w.org)
	body := map[string]any{"name": "example.com",
		"additional_names": []string{"a.example.net", "b.example.net", "c.example.net"}}
	for _, path := range []string{"/api/domains?dry_run=true", "/api/domains"} {
		a := w.do("POST", path, body).problem(403, "plan-limit")
		if want := "3 delegations, 0 are in use, and 4 are to be added"; !strings.Contains(
			a.string("detail"), want) {
			t.Errorf("POST %s: detail = %q, want %q in it", path, a.string("detail"), want)
		}
	}
	body["additional_names"] = []string{"a.example.net", "*.a.example.net", "b.example.net"}
	id := w.do("POST", "/api/domains", body).is(201).string("id")
	w.do("POST", "/api/domains?dry_run=true&replacing="+id, body).is(204)
	for _, path := range []string{"/api/domains/" + id + "?dry_run=true", "/api/domains/" + id} {
		w.do("PATCH", path, map[string]any{"additional_names": []string{"a.example.net",
			"b.example.net", "c.example.net"}}).problem(403, "plan-limit")
	}
	w.do("PATCH", "/api/domains/"+id, map[string]any{"additional_names": []string{"c.example.net",
		"d.example.net"}}).is(200)
	if n := w.count(`SELECT delegation_count FROM organizations WHERE id = $1`, w.org); n != 3 {
		t.Errorf("delegation_count = %d, want 3", n)
	}
}

// A restricted token can't get a certificate for the names of other domains by adding them to its
// own.
func TestRestrictedTokenAddsNoNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, second := w.newDomain(w.org, "mine.example.com"), w.newDomain(w.org, "second.example.com")
	w.newDomain(w.org, "others.example.com")
	restricted := as(w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		DomainIDs: []string{mine.ID, second.ID}}))
	path := "/api/domains/" + mine.ID
	before := w.everything()
	for _, name := range []string{"others.example.com", "*.others.example.com", "new.example.com"} {
		w.do("PATCH", path, map[string]any{"additional_names": []string{"second.example.com",
			name}}, restricted).problem(403, "token-restricted")
	}
	w.do("PATCH", path, map[string]any{"additional_names": []string{"com"}},
		restricted).problem(422, "name-public-suffix")
	w.unchanged("a rejected change of names", before)
	w.do("PATCH", path, map[string]any{"additional_names": []string{"*.mine.example.com",
		"second.example.com"}}, restricted).is(200)
	w.do("PATCH", path, map[string]any{"additional_names": []string{}}, restricted).is(200)
}

// Two domains of different organizations can have the same names, with different targets.
func TestAdditionalNamesOfAnotherOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := as(w.newToken(w.newOrg("Other"), lifecycle.NewToken{Scopes: controlplane.Scopes()}))
	body := map[string]any{"name": "example.com", "additional_names": []string{"b.example.net"}}
	a := w.do("POST", "/api/domains", body).is(201)
	w.exec(`UPDATE delegations SET state = 'delegated'`)
	b := w.do("POST", "/api/domains", body, other).is(201)
	mine := w.do("GET", "/api/domains/"+a.string("id"), nil).is(200).records()
	for name, target := range b.records() {
		if !strings.HasSuffix(name, " unchecked -") || target == "" ||
			slices.Contains(slices.Collect(maps.Values(mine)), target) {
			t.Errorf("delegation %s of the other organization = %s, want its own target", name,
				target)
		}
	}
	w.do("PATCH", "/api/domains/"+a.string("id"), map[string]any{"additional_names": []string{}},
		other).problem(404, "not-found")
}

// A change of names wakes those who wait for the domain.
func TestWaitForAChangeOfNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.do("POST", "/api/domains", map[string]any{"name": "example.com"}).is(201)
	path := "/api/domains/" + a.string("id")
	got := make(chan *answer)
	go func() {
		got <- w.do("GET", path+"?wait=25s", nil, header("If-None-Match", a.header.Get("ETag")))
	}()
	w.do("PATCH", path, map[string]any{"additional_names": []string{"b.example.net"}}).is(200)
	if names := (<-got).is(200).strings("additional_names"); !slices.Equal(names,
		[]string{"b.example.net"}) {
		t.Errorf("additional_names after the wait = %q, want the new one", names)
	}
}

// A domain is found by a part of any of its names, and by each name in its certificate.
func TestFindDomainsByAnyName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	add := func(body map[string]any) string {
		return w.do("POST", "/api/domains", body).is(201).string("id")
	}
	a := add(map[string]any{"name": "a.example.com",
		"additional_names": []string{"*.shared.example.net", "bücher.example"}})
	b := add(map[string]any{"name": "b.example.com", "wildcard": true,
		"additional_names": []string{"shared.example.net"}})
	restricted := as(w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		DomainIDs: []string{b}}))
	other := as(w.newTokenElsewhere(controlplane.Scopes()))
	for query, want := range map[string][]string{
		"q=SHARED":                {b, a},
		"q=shared&sort=name":      {a, b},
		"q=%C3%9CCH":              {a},
		"q=ared.exa&q=":           nil,
		"name=Shared.example.net": {b}, "name=*.shared.example.net.": {a},
		"name=b%C3%BCcher.example": {a}, "name=xn--bcher-kva.example": {a},
		"name=*.B.example.com": {b}, "name=*.a.example.com": {}, "name=b.example.com": {b},
		"name=": {b, a}, "name=shared.example.net&q=a.example": {},
	} {
		if want == nil {
			w.do("GET", "/api/domains?"+query, nil).problem(400, "invalid-parameter")
			continue
		}
		got := w.do("GET", "/api/domains?"+query, nil).is(200).ids()
		if !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Errorf("GET /api/domains?%s = %q, want %q", query, got, want)
		}
		got = w.do("GET", "/api/domains?"+query, nil, restricted).is(200).ids()
		if slices.Contains(got, a) || slices.Contains(got, b) != slices.Contains(want, b) {
			t.Errorf("GET /api/domains?%s of a token for one domain = %q", query, got)
		}
		if got := w.do("GET", "/api/domains?"+query, nil, other).is(200).ids(); len(got) > 0 {
			t.Errorf("GET /api/domains?%s of another organization = %q, want none", query, got)
		}
	}
	for _, name := range []string{"a..b", "*.*.example.com", "a b", "*"} {
		w.do("GET", "/api/domains?name="+url.QueryEscape(name), nil).problem(400,
			"invalid-parameter")
	}
	page := w.do("GET", "/api/domains?q=shared&limit=1", nil).is(200)
	w.do("GET", "/api/domains?q=shared&name=shared.example.net&limit=1&cursor="+
		page.string("next_cursor"), nil).problem(400, "invalid-cursor")
}

// A name moves from one domain to another, and its target is served throughout.
func TestNameMovesBetweenDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	add := func(name string, additional ...string) *answer {
		return w.do("POST", "/api/domains", map[string]any{"name": name,
			"additional_names": append([]string{}, additional...)}).is(201)
	}
	from, to := add("from.example.com", "www.example.net"), add("to.example.com")
	change := func(d *answer, names ...string) *answer {
		return w.do("PATCH", "/api/domains/"+d.string("id"),
			map[string]any{"additional_names": append([]string{}, names...)}).is(200)
	}
	served := func(step, id string) {
		t.Helper()
		n := w.count(`SELECT count(*) FROM targets t JOIN delegations g ON g.target = t.label
			WHERE g.name = 'www.example.net'`)
		if n != 1 {
			t.Errorf("%s: %d targets of the name are served, want 1", step, n)
		}
		if got := w.do("GET", "/api/domains?name=www.example.net", nil).is(200).ids(); !slices.Contains(
			got, id) {
			t.Errorf("%s: domains of the name = %q, want %s", step, got, id)
		}
	}
	id := w.do("GET", "/api/delegations/www.example.net", nil).is(200).string("id")
	notified := w.listen()
	change(to, "www.example.net")
	served("both", to.string("id"))
	change(from)
	served("moved", to.string("id"))
	w.do("DELETE", "/api/domains/"+from.string("id"), nil).is(204)
	served("the first is deleted", to.string("id"))
	if again := w.do("GET", "/api/delegations/www.example.net", nil).is(200); again.string("id") != id {
		t.Errorf("delegation after the move = %s, want %s", again.string("id"), id)
	}
	for _, n := range notified() {
		target := from.records()["www.example.net unchecked -"]
		label, _, _ := strings.Cut(target, ".")
		if strings.Contains(n, label) {
			t.Errorf("the name servers got %q, want nothing about the target", n)
		}
	}
	change(to)
	w.do("GET", "/api/delegations/www.example.net", nil).problem(404, "not-found")
}
