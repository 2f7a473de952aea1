package api

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// A delegation is pinned once, in any spelling of its name, keeps the target that a domain of the
// name has, and can be deleted when no domain uses it.
func TestDelegationFromPinToDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	planned := w.do("GET", "/api/delegation?name=B%C3%9Ccher.Example.COM.", nil).is(200)
	pin := func(status int) *answer {
		return w.do("POST", "/api/delegations", map[string]any{"name": "BÜcher.example.com."}).
			is(status)
	}
	a := pin(201)
	id := a.string("id")
	record := a.json["record"].(map[string]any)
	if record["target"] != planned.string("target") || record["type"] != "CNAME" ||
		record["name"] != "_acme-challenge.xn--bcher-kva.example.com" {
		t.Errorf("record = %v, want %s", record, planned.body)
	}
	for field, want := range map[string]any{"name": "xn--bcher-kva.example.com", "pinned": true,
		"state": "unchecked", "cause": nil, "last_checked_at": nil, "domain_count": 0.0} {
		if a.json[field] != want {
			t.Errorf("%s = %v, want %v", field, a.json[field], want)
		}
	}
	if got, want := a.header.Get("Location"), "/api/delegations/"+id; got != want {
		t.Errorf("Location = %q, want %q", got, want)
	}
	if again := pin(200); again.body != a.body ||
		again.header.Get("ETag") != a.header.Get("ETag") {
		t.Errorf("the second pin = %s, want %s", again.body, a.body)
	}
	for _, ref := range []string{id, "xn--bcher-kva.example.com", "B%C3%BCcher.EXAMPLE.com."} {
		if got := w.do("GET", "/api/delegations/"+ref, nil).is(200); got.body != a.body {
			t.Errorf("GET %s = %s, want %s", ref, got.body, a.body)
		}
	}

	d := w.newDomain(w.org, "xn--bcher-kva.example.com")
	used := w.do("GET", "/api/delegations/"+id, nil).is(200)
	if ids := fmt.Sprint(used.json["domain_ids"]); ids != "["+d.ID+"]" ||
		used.json["domain_count"] != 1.0 {
		t.Errorf("with a domain = %s, want %s as its user", used.body, d.ID)
	}
	if used.header.Get("ETag") == a.header.Get("ETag") {
		t.Error("the ETag is the same with a domain that uses it")
	}
	problem := w.do("DELETE", "/api/delegations/"+id, nil).problem(409, "delegation-in-use")
	if detail := problem.string("detail"); !strings.Contains(detail, d.ID) ||
		!strings.Contains(detail, d.Name) || problem.string("existing_id") != d.ID {
		t.Errorf("DELETE of one in use = %s, want the domain %s", problem.body, d.ID)
	}
	w.do("DELETE", "/api/domains/"+d.ID, nil).is(204)
	w.do("GET", "/api/delegations/"+id, nil).is(200)
	w.do("DELETE", "/api/delegations/"+id, nil).is(204)
	w.do("GET", "/api/delegations/"+id, nil).problem(404, "not-found")
	w.do("DELETE", "/api/delegations/"+id, nil).problem(404, "not-found")
	var actions []string
	for _, action := range w.do("GET", "/api/audit-logs?entity="+id, nil).is(200).actions() {
		actions = append(actions, fmt.Sprint(action))
	}
	if want := []string{"delegation.deleted", "delegation.created"}; !slices.Equal(actions, want) {
		t.Errorf("actions = %q, want %q", actions, want)
	}
}

// The delegation that a domain created can be pinned and unpinned, and outlives the domain only
// while it is pinned.
func TestPinTheDelegationOfADomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "used.example.com")
	a := w.do("GET", "/api/delegations/used.example.com", nil).is(200)
	if a.json["pinned"] != false {
		t.Errorf("the delegation of a domain = %s, want it unpinned", a.body)
	}
	path := "/api/delegations/" + a.string("id")
	p := w.do("POST", "/api/delegations", map[string]any{"name": "used.example.com"}).is(200)
	if p.json["pinned"] != true || p.string("id") != a.string("id") ||
		p.header.Get("ETag") == a.header.Get("ETag") {
		t.Errorf("POST = %s, want the same one, pinned", p.body)
	}
	old := header("If-Match", a.header.Get("ETag"))
	w.do("PATCH", path, map[string]any{"pinned": false}, old).problem(412, "precondition-failed")
	w.do("DELETE", path, nil, old).problem(412, "precondition-failed")
	w.do("PATCH", path, map[string]any{"pinned": false},
		header("If-Match", `"99", `+p.header.Get("ETag"))).is(200)
	w.do("PATCH", path, map[string]any{}).is(200)
	w.do("PATCH", path, map[string]any{"pinned": true}).is(200)
	w.do("DELETE", "/api/domains/"+d.ID, nil).is(204)
	w.do("PATCH", path, map[string]any{"pinned": false}).problem(409, "delegation-unused")
	if got := w.do("GET", path, nil).is(200); got.json["domain_count"] != 0.0 {
		t.Errorf("after the deletion of the domain: %s, want no user", got.body)
	}

	d = w.newDomain(w.org, "used.example.com")
	w.do("PATCH", path, map[string]any{"pinned": false}).is(200)
	w.do("DELETE", "/api/domains/"+d.ID, nil).is(204)
	w.do("GET", path, nil).problem(404, "not-found")
}

func TestInvalidDelegations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, code := range map[string]string{"*.example.com": "name-wildcard",
		"com": "name-public-suffix", "192.0.2.1": "name-ip", "x.acme.dcvaas.test": "name-in-zone"} {
		a := w.do("POST", "/api/delegations", map[string]any{"name": name}).problem(422, code)
		if got := a.pointers(); !slices.Equal(got, []string{"/name " + code}) {
			t.Errorf("POST %s = %q, want /name", name, got)
		}
	}
	w.exec(`UPDATE organizations SET delegation_limit = 1 WHERE id = $1`, w.org)
	w.newDomain(w.org, "one.example.com")
	a := w.do("POST", "/api/delegations", map[string]any{"name": "two.example.com"}).problem(403,
		"plan-limit")
	if !strings.Contains(a.string("detail"), "1 delegations, 1 are in use") {
		t.Errorf("detail = %q, want the usage and the limit", a.string("detail"))
	}
	w.do("POST", "/api/delegations", map[string]any{"name": "one.example.com"}).is(200)
	usage := w.do("GET", "/api/organization/usage", nil).is(200)
	if got := fmt.Sprint(usage.json["delegations"]); got != "map[limit:1 used:1]" {
		t.Errorf("usage of delegations = %s, want 1 of 1", got)
	}
}

func TestDelegationFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.newDomain(w.org, "shop.example.com")
	shop := w.do("GET", "/api/delegations/shop.example.com", nil).is(200).string("id")
	pin := func(name string) string {
		return w.do("POST", "/api/delegations", map[string]any{"name": name}).is(201).string("id")
	}
	blog, books := pin("blog.example.com"), pin("bücher.example.com")
	w.exec(`UPDATE delegations SET state = 'broken', diagnosis = $2 WHERE id = $1`, blog,
		`{"code":"cname-missing","summary":"No CNAME.","expected":"x CNAME y","fix":"Create it."}`)
	for query, want := range map[string][]string{
		"":                          {books, blog, shop},
		"sort=created_at":           {shop, blog, books},
		"sort=name":                 {blog, shop, books},
		"q=SHOP":                    {shop},
		"q=%25":                     nil,
		"q=_":                       nil,
		"q=%C3%BCch":                {books},
		"q=xn--":                    {books},
		"state=broken":              {blog},
		"pinned=true":               {books, blog},
		"pinned=false":              {shop},
		"pinned=true&q=blog":        {blog},
		"state=delegated":           nil,
		"q=&sort=-name&limit=200":   {books, shop, blog},
		"q=example.com&pinned=true": {books, blog},
	} {
		if got := w.do("GET", "/api/delegations?"+query, nil).is(200).ids(); !slices.Equal(got,
			want) {
			t.Errorf("GET ?%s lists %v, want %v", query, got, want)
		}
	}
	for _, query := range []string{"state=gone", "pinned=maybe", "sort=state"} {
		w.do("GET", "/api/delegations?"+query, nil).problem(400, "invalid-parameter")
	}
	w.do("GET", "/api/delegations?name=x", nil).problem(400, "unknown-parameter")
	cause, _ := w.do("GET", "/api/delegations/"+blog, nil).is(200).json["cause"].(map[string]any)
	if cause["code"] != "cname-missing" || cause["message"] != "No CNAME." ||
		cause["fix"] != "Create it." {
		t.Errorf("cause = %v, want that of the diagnosis", cause)
	}
}

// Paging returns every delegation once, in order, while others are pinned.
func TestPagingOfDelegations(t *testing.T) {
	t.Parallel()
	for _, sort := range []string{"created_at", "-created_at", "name", "-name"} {
		t.Run(sort, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for i := range 9 {
				w.do("POST", "/api/delegations",
					map[string]any{"name": fmt.Sprintf("d%d.example.com", i*5%9)}).is(201)
			}
			w.exec(`UPDATE delegations SET created_at = date_trunc('day', created_at)`)
			query := url.Values{"sort": {sort}, "limit": {"200"}}
			want := w.do("GET", "/api/delegations?"+query.Encode(), nil).is(200).ids()
			query.Set("limit", "2")
			var got []string
			for page := 0; ; page++ {
				a := w.do("GET", "/api/delegations?"+query.Encode(), nil).is(200)
				got = append(got, a.ids()...)
				w.do("POST", "/api/delegations",
					map[string]any{"name": fmt.Sprintf("new%d.example.com", page)}).is(201)
				if a.json["has_more"] == false {
					break
				}
				query.Set("cursor", a.string("next_cursor"))
				if page > 20 {
					t.Fatal("the walk does not end")
				}
			}
			got = slices.DeleteFunc(got, func(id string) bool { return !slices.Contains(want, id) })
			if !slices.Equal(got, want) {
				t.Errorf("page by page %v, want %v", got, want)
			}
			other := url.Values{"q": {"d"}, "cursor": {query.Get("cursor")}}
			w.do("GET", "/api/delegations?"+other.Encode(), nil).problem(400, "invalid-cursor")
		})
	}
}

// A token that is restricted to some domains sees the delegations that these use, and of their
// users only these. It cannot pin, change, or delete delegations.
func TestDelegationsOfARestrictedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine, others := w.newDomain(w.org, "mine.example.com"), w.newDomain(w.org, "others.example.com")
	w.do("POST", "/api/delegations", map[string]any{"name": "free.example.com"}).is(201)
	get := func(name string) string {
		return w.do("GET", "/api/delegations/"+name, nil).is(200).string("id")
	}
	id, foreign, free := get(mine.Name), get(others.Name), get("free.example.com")
	w.exec(`INSERT INTO domain_delegations VALUES ($1, $2)`, others.ID, id)
	token := as(w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
		DomainIDs: []string{mine.ID}}))
	a := w.do("GET", "/api/delegations", nil, token).is(200)
	if got := a.ids(); !slices.Equal(got, []string{id}) || strings.Contains(a.body, others.ID) {
		t.Errorf("GET /api/delegations = %s, want only %s with the user %s", a.body, id, mine.ID)
	}
	if a := w.do("GET", "/api/delegations/"+id, nil, token).is(200); a.json["domain_count"] != 1.0 {
		t.Errorf("GET = %s, want one user", a.body)
	}
	w.do("GET", "/api/delegations/"+foreign, nil, token).problem(403, "domain-not-allowed")
	w.do("GET", "/api/delegations/"+free, nil, token).problem(403, "token-restricted")
	w.do("GET", "/api/delegations/nowhere.example.com", nil, token).problem(404, "not-found")
	for _, ref := range []string{id, foreign, free} {
		w.do("DELETE", "/api/delegations/"+ref, nil, token).problem(403, "token-restricted")
		w.do("PATCH", "/api/delegations/"+ref, map[string]any{"pinned": true},
			token).problem(403, "token-restricted")
	}
	w.do("DELETE", "/api/delegations/nowhere.example.com", nil, token).problem(404, "not-found")
	w.do("POST", "/api/delegations", map[string]any{"name": mine.Name}, token).problem(403,
		"token-restricted")
	for ref, status := range map[string]int{id: 200, foreign: 403, free: 403} {
		w.do("GET", "/api/audit-logs?entity="+ref, nil, token).is(status)
	}
}

// A check of a delegation is a job of the delegation, which a token of a domain that uses it can
// read, too.
func TestVerifyDelegation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.newDomain(w.org, "mine.example.com")
	a := w.do("POST", "/api/delegations/MINE.example.com/verify", nil).is(202)
	id := w.do("GET", "/api/delegations/mine.example.com", nil).is(200).string("id")
	if a.string("type") != "delegation_check" || a.string("delegation_id") != id ||
		a.string("domain_id") != "" || a.header.Get("Location") != "/api/jobs/"+a.string("id") {
		t.Errorf("verify = %s, want a check of %s", a.body, id)
	}
	if again := w.do("POST", "/api/delegations/"+id+"/verify", nil).is(200); again.string("id") !=
		a.string("id") {
		t.Errorf("verify again = %s, want the job %s", again.body, a.string("id"))
	}
	other := w.newDomain(w.org, "other.example.com")
	restricted := func(id string) option {
		return as(w.newToken(w.org, lifecycle.NewToken{Scopes: controlplane.Scopes(),
			DomainIDs: []string{id}}))
	}
	for _, path := range []string{"/api/jobs/" + a.string("id"), "/api/jobs?delegation=" + id,
		"/api/delegations/" + id + "/diagnosis"} {
		w.do("GET", path, nil, restricted(d.ID)).is(200)
		w.do("GET", path, nil, restricted(other.ID)).problem(403, "domain-not-allowed")
	}
	for query, want := range map[string][]string{"delegation=mine.example.com": {a.string("id")},
		"delegation=other.example.com": nil, "type=delegation_check": {a.string("id")}} {
		if got := w.do("GET", "/api/jobs?"+query, nil).is(200).ids(); !slices.Equal(got, want) {
			t.Errorf("GET /api/jobs?%s = %v, want %v", query, got, want)
		}
	}
}
