package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// A list that is walked while rows come and go shows every row that was there all the time
// exactly once, in order, and no row twice.
func TestListDomainsWhileRowsComeAndGo(t *testing.T) {
	t.Parallel()
	for _, sort := range []string{"created_at", "-created_at", "name", "-name", "expires_at",
		"-expires_at"} {
		t.Run(sort, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			var stay, leave []string
			for i := range 60 {
				dom := d.listed(fmt.Sprintf("%c%d.example.com", 'a'+i*7%26, i), i)
				if i%3 == 0 {
					leave = append(leave, dom.ID)
				} else {
					stay = append(stay, dom.ID)
				}
			}
			var seen []controlplane.Domain
			filter := postgres.DomainFilter{Sort: sort, Limit: 7}
			for n := 0; ; n++ {
				items, next, err := d.ListDomains(t.Context(), d.org, filter)
				d.must(err)
				if len(items) > 7 || next != nil && len(items) < 7 {
					t.Fatalf("a page of %d, next %v", len(items), next)
				}
				seen = append(seen, items...)
				if next == nil {
					break
				}
				if *next != *mustCursor(d, items[6], sort) {
					t.Errorf("the cursor is %+v after %s", next, items[6].Name)
				}
				filter.After = next
				// Before and after the position of the reader, and at the row that it saw last.
				d.listed(fmt.Sprintf("a-new%d.example.com", n), n*5%60)
				d.listed(fmt.Sprintf("z-new%d.example.com", n), 59-n*5%60)
				if len(leave) > 0 {
					d.must(d.DeleteDomain(t.Context(), d.org, leave[0]))
					leave = leave[1:]
				}
				if i := slices.Index(leave, items[6].ID); i >= 0 {
					d.must(d.DeleteDomain(t.Context(), d.org, leave[i]))
					leave = slices.Delete(leave, i, i+1)
				}
			}
			times := map[string]int{}
			for i, dom := range seen {
				times[dom.ID]++
				if i > 0 && !inOrder(sort, seen[i-1], dom) {
					t.Errorf("%s comes before %s", seen[i-1].Name, dom.Name)
				}
			}
			for id, n := range times {
				if n > 1 {
					t.Errorf("%s was shown %d times", id, n)
				}
			}
			for _, id := range stay {
				if times[id] != 1 {
					t.Errorf("%s, which existed all the time, was shown %d times", id, times[id])
				}
			}
		})
	}
}

// listed stores a domain with times that several share, and some lack.
func (d *db) listed(name string, i int) *controlplane.Domain {
	d.t.Helper()
	dom, j, a := newDomain(d.org, name)
	dom.CreatedAt = start.Add(time.Duration(i/4) * time.Microsecond)
	if ok, err := d.AddDomain(d.t.Context(), dom, j, a); !ok || err != nil {
		d.t.Fatalf("AddDomain(%s) = %v, %v, want true", name, ok, err)
	}
	if i%5 != 0 {
		expires := start.Add(time.Duration(i/6) * time.Hour)
		dom.ExpiresAt = &expires
		d.must(d.SaveDomain(d.t.Context(), dom, start))
	}
	return dom
}

func mustCursor(d *db, dom controlplane.Domain, sort string) *postgres.Cursor {
	d.t.Helper()
	key := dom.Name
	switch strings.TrimPrefix(sort, "-") {
	case "created_at":
		key = dom.CreatedAt.Format("2006-01-02T15:04:05.000000Z")
	case "expires_at":
		key = "infinity"
		if dom.ExpiresAt != nil {
			key = dom.ExpiresAt.Format("2006-01-02T15:04:05.000000Z")
		}
	}
	return &postgres.Cursor{Key: key, ID: dom.ID}
}

// inOrder reports whether a may come before b. Domains that never expire come after those that do.
func inOrder(sort string, a, b controlplane.Domain) bool {
	if rest, descending := strings.CutPrefix(sort, "-"); descending {
		return inOrder(rest, b, a)
	}
	never := start.Add(1e6 * time.Hour)
	key := func(d controlplane.Domain) time.Time {
		if sort == "created_at" {
			return d.CreatedAt
		}
		if d.ExpiresAt == nil {
			return never
		}
		return *d.ExpiresAt
	}
	if sort == "name" {
		return true // by the database's collation, which the cursor uses too
	}
	if ka, kb := key(a), key(b); !ka.Equal(kb) {
		return ka.Before(kb)
	}
	return a.ID < b.ID
}

func TestListDomainsFilters(t *testing.T) {
	t.Parallel()
	d := open(t)
	soonest, later := start.Add(time.Hour), start.Add(100*time.Hour)
	for _, c := range []struct {
		name    string
		status  controlplane.DomainStatus
		labels  map[string]string
		expires *time.Time
	}{
		{"shop.example.com", controlplane.DomainActive,
			map[string]string{"team": "a", "env": "prod"}, &soonest},
		{"www.example.com", controlplane.DomainActive, map[string]string{"team": "b"}, &later},
		{"a_pi.example.org", controlplane.DomainError, map[string]string{"team": ""}, nil},
		{"new.example.net", controlplane.DomainPendingCNAME, nil, nil},
	} {
		dom, j, a := newDomain(d.org, c.name)
		dom.Labels = c.labels
		if ok, err := d.AddDomain(t.Context(), dom, j, a); !ok || err != nil {
			t.Fatalf("AddDomain(%s) = %v, %v, want true", c.name, ok, err)
		}
		dom.Status, dom.ExpiresAt = c.status, c.expires
		d.must(d.SaveDomain(t.Context(), dom, start))
	}
	idn := d.organization(5)
	for _, name := range []string{"xn--mller-kva.de", "shop.xn--mller-kva.de",
		"xn--mnchen-3ya.example", "muller.example", "xn--r8jz45g.xn--zckzah.example"} {
		d.add(idn, name)
	}
	several := d.organization(5)
	for name, additional := range map[string][]string{
		"one.example.com": {"*.shared.test", "WWW.one.example.com"},
		"two.example.com": {"shared.test", "xn--mller-kva.test"}, "three.example.com": nil} {
		dom, j, a := newDomain(several, name)
		dom.Wildcard = name == "three.example.com"
		dom.Targets = make(map[string]string)
		for i, one := range additional {
			additional[i] = strings.ToLower(one)
			base := strings.TrimPrefix(additional[i], "*.")
			dom.Targets[base] = controlplane.Target(make([]byte, 32), several, base)
		}
		dom.AdditionalNames = additional
		if ok, err := d.AddDomain(t.Context(), dom, j, a); !ok || err != nil {
			t.Fatalf("AddDomain(%s) = %v, %v, want true", name, ok, err)
		}
	}
	d.add(d.organization(5), "shop.example.com")
	id := func(name string) string {
		dom, err := d.Domain(t.Context(), d.org, name)
		d.must(err)
		return dom.ID
	}
	before := start.Add(2 * time.Hour)
	for what, tt := range map[string]struct {
		f    postgres.DomainFilter
		want []string
		idn  bool // of the organization with international names
	}{
		"Unicode": {postgres.DomainFilter{Query: "müller"},
			[]string{"shop.xn--mller-kva.de", "xn--mller-kva.de"}, true},
		"Unicode, whole name": {postgres.DomainFilter{Query: "SHOP.Müller.de"},
			[]string{"shop.xn--mller-kva.de"}, true},
		"Unicode, decomposed": {postgres.DomainFilter{Query: "mu\u0308ll"},
			[]string{"shop.xn--mller-kva.de", "xn--mller-kva.de"}, true},
		"Unicode, one letter": {postgres.DomainFilter{Query: "ü"}, []string{
			"shop.xn--mller-kva.de", "xn--mller-kva.de", "xn--mnchen-3ya.example"}, true},
		"Unicode, across labels": {postgres.DomainFilter{Query: "op.mü"},
			[]string{"shop.xn--mller-kva.de"}, true},
		"Unicode, another script": {postgres.DomainFilter{Query: "例え.テ"},
			[]string{"xn--r8jz45g.xn--zckzah.example"}, true},
		"Unicode in no name": {postgres.DomainFilter{Query: "é"}, nil, true},
		"full-width letters": {postgres.DomainFilter{Query: "ＭＵＬＬＥＲ"},
			[]string{"muller.example"}, true},
		"A-label": {postgres.DomainFilter{Query: "XN--MLLER"},
			[]string{"shop.xn--mller-kva.de", "xn--mller-kva.de"}, true},
		"Unicode of another organization": {postgres.DomainFilter{Query: "müller"}, nil, false},
		"Unicode and ids": {postgres.DomainFilter{Query: "ü", IDs: []string{"dom_none"}}, nil,
			true},
		"all": {f: postgres.DomainFilter{},
			want: []string{"a_pi.example.org", "new.example.net", "shop.example.com", "www.example.com"}},
		"part of the name": {f: postgres.DomainFilter{Query: "EXAMPLE.c"},
			want: []string{"shop.example.com", "www.example.com"}},
		"literal underscore": {f: postgres.DomainFilter{Query: "a_p"},
			want: []string{"a_pi.example.org"}},
		"literal percent": {f: postgres.DomainFilter{Query: "%"}, want: nil},
		"literal quote": {f: postgres.DomainFilter{Query: `'; DROP TABLE domains; --`},
			want: nil},
		"a question mark": {f: postgres.DomainFilter{Query: "?", Label: "?=?"}, want: nil},
		"status": {f: postgres.DomainFilter{Status: controlplane.DomainError},
			want: []string{"a_pi.example.org"}},
		"label and value": {f: postgres.DomainFilter{Label: "team=a"},
			want: []string{"shop.example.com"}},
		"label": {f: postgres.DomainFilter{Label: "team"},
			want: []string{"a_pi.example.org", "shop.example.com", "www.example.com"}},
		"label with an empty value": {f: postgres.DomainFilter{Label: "team="},
			want: []string{"a_pi.example.org"}},
		"label that no domain has": {f: postgres.DomainFilter{Label: "0"}, want: nil},
		"expires before": {f: postgres.DomainFilter{ExpiresBefore: &before},
			want: []string{"shop.example.com"}},
		"ids": {f: postgres.DomainFilter{IDs: []string{id("www.example.com"),
			"dom_none"}}, want: []string{"www.example.com"}},
		"no ids at all": {f: postgres.DomainFilter{IDs: []string{}}, want: nil},
		"all of them at once": {f: postgres.DomainFilter{Query: "shop", Label: "env=prod",
			Status: controlplane.DomainActive, ExpiresBefore: &before,
			IDs: []string{id("shop.example.com")}}, want: []string{"shop.example.com"}},
		"expires before, by that key": {f: postgres.DomainFilter{ExpiresBefore: &later,
			Sort: "-expires_at"}, want: []string{"shop.example.com"}},
	} {
		if tt.f.Sort == "" {
			tt.f.Sort = "name"
		}
		tt.f.Limit = 10
		org := d.org
		if tt.idn {
			org = idn
		}
		items, next, err := d.ListDomains(t.Context(), org, tt.f)
		var got []string
		for _, dom := range items {
			got = append(got, dom.Name)
		}
		slices.Sort(got)
		if err != nil || next != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v, want %v", what, got, err, tt.want)
		}
	}
	d.wantPairs("a_pi.example.org", "new.example.net", "shop.example.com", "www.example.com")
	if _, _, err := d.ListDomains(t.Context(), d.org,
		postgres.DomainFilter{Sort: "id; DROP TABLE domains", Limit: 1}); err == nil {
		t.Error("ListDomains with an unknown sort key = nil, want an error")
	}
	for what, tt := range map[string]struct {
		f    postgres.DomainFilter
		want []string
	}{
		"part of an additional name": {postgres.DomainFilter{Query: "WW.one"},
			[]string{"one.example.com"}},
		"part of two domains' names": {postgres.DomainFilter{Query: "shared"},
			[]string{"one.example.com", "two.example.com"}},
		"part with a wildcard": {postgres.DomainFilter{Query: "*.shared.t"},
			[]string{"one.example.com", "two.example.com"}},
		"part of one's two names": {postgres.DomainFilter{Query: "one.example"},
			[]string{"one.example.com"}},
		"Unicode in an additional name": {postgres.DomainFilter{Query: "ller.MÜ"}, nil},
		"Unicode":                       {postgres.DomainFilter{Query: "MÜLLER.te"}, []string{"two.example.com"}},
		"name":                          {postgres.DomainFilter{Name: "shared.test"}, []string{"two.example.com"}},
		"wildcard": {postgres.DomainFilter{Name: "*.shared.test"},
			[]string{"one.example.com"}},
		"own name": {postgres.DomainFilter{Name: "three.example.com"},
			[]string{"three.example.com"}},
		"own wildcard": {postgres.DomainFilter{Name: "*.three.example.com"},
			[]string{"three.example.com"}},
		"no own wildcard": {postgres.DomainFilter{Name: "*.one.example.com"}, nil},
		"covered name":    {postgres.DomainFilter{Name: "a.three.example.com"}, nil},
		"name and part": {postgres.DomainFilter{Name: "shared.test", Query: "one"},
			nil},
	} {
		tt.f.Sort, tt.f.Limit = "name", 10
		items, _, err := d.ListDomains(t.Context(), several, tt.f)
		got := ids(items, func(dom controlplane.Domain) string { return dom.Name })
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("several names, %s: ListDomains = %q, %v, want %q", what, got, err, tt.want)
		}
		if other, _, err := d.ListDomains(t.Context(), d.org, tt.f); err != nil || len(other) > 0 {
			t.Errorf("%s: ListDomains of another organization = %v, %v, want none", what, other,
				err)
		}
	}
	items, _, err := d.ListDomains(t.Context(), d.org, postgres.DomainFilter{Limit: 1})
	if err != nil || len(items) != 1 {
		t.Errorf("the zero sort: %v, %v", items, err)
	}
}

func ids[T any](items []T, id func(T) string) []string {
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = id(item)
	}
	return out
}

// wantPairs checks that each two characters find those of the organization's domains, which have
// these names, that contain them.
func (d *db) wantPairs(names ...string) {
	d.t.Helper()
	pairs := map[string]bool{"zz": true, "._": true, "-.": true, "g.": true, ".a": true, "0-": true}
	for _, name := range names {
		for i := range len(name) - 1 {
			pairs[name[i:i+2]] = true
		}
	}
	for pair := range pairs {
		var want []string
		for _, name := range names {
			if strings.Contains(name, pair) {
				want = append(want, name)
			}
		}
		items, _, err := d.ListDomains(d.t.Context(), d.org,
			postgres.DomainFilter{Query: pair, Sort: "name", Limit: 10})
		got := ids(items, func(dom controlplane.Domain) string { return dom.Name })
		if err != nil || !slices.Equal(got, want) {
			d.t.Errorf("ListDomains(%q) = %q, %v, want %q", pair, got, err, want)
		}
	}
}
