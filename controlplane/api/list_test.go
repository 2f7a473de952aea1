package api

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// Paging during concurrent additions and deletions returns every remaining object exactly once, in
// order.
func TestPagingWalk(t *testing.T) {
	t.Parallel()
	for _, sort := range []string{"", "created_at", "-created_at", "name", "-name", "expires_at",
		"-expires_at"} {
		t.Run("sort="+sort, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var old []string
			for i := range 17 {
				d := w.newDomain(w.org, fmt.Sprintf("d%02d.example.com", i*7%17))
				old = append(old, d.ID)
			}
			w.exec(`UPDATE domains SET expires_at = now() + interval '1 day' WHERE name < 'd05'`)
			// many at one time
			w.exec(`UPDATE domains SET created_at = date_trunc('second', created_at)`)
			gone := old[3]

			var walked []string
			query := url.Values{"limit": {"4"}}
			if sort != "" {
				query.Set("sort", sort)
			}
			for page := 0; ; page++ {
				a := w.do("GET", "/api/domains?"+query.Encode(), nil).is(200)
				walked = append(walked, a.ids()...)
				w.newDomain(w.org, fmt.Sprintf("new%d.example.com", page))
				if page == 0 && !slices.Contains(walked, gone) {
					w.do("DELETE", "/api/domains/"+gone, nil).is(204)
				}
				if a.json["has_more"] == false {
					if a.json["next_cursor"] != nil {
						t.Errorf("next_cursor after the last page: %v", a.json["next_cursor"])
					}
					break
				}
				query.Set("cursor", a.string("next_cursor"))
				if page > 20 {
					t.Fatal("the walk does not end")
				}
			}
			for i, id := range walked {
				if slices.Contains(walked[:i], id) {
					t.Errorf("%s came twice", id)
				}
			}
			for _, id := range old {
				if id != gone && !slices.Contains(walked, id) {
					t.Errorf("%s was missed", id)
				}
			}
		})
	}
}

func TestPagingOfEveryList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		w.newEstate(w.org, fmt.Sprintf("d%d.example.com", i))
	}
	for _, path := range []string{"/api/domains", "/api/jobs", "/api/certificates", "/api/tokens"} {
		all := w.do("GET", path, nil).is(200).ids()
		var walked []string
		for cursor := ""; ; {
			a := w.do("GET", path+"?limit=1&cursor="+cursor, nil).is(200)
			walked = append(walked, a.ids()...)
			if a.json["has_more"] == false {
				break
			}
			cursor = a.string("next_cursor")
		}
		if len(all) < 3 || !slices.Equal(all, walked) {
			t.Errorf("%s: %v in one, %v one by one", path, all, walked)
		}
	}
}

func TestCursorIsGoodForItsListingOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		w.newDomain(w.org, fmt.Sprintf("d%d.example.com", i))
	}
	cursor := w.do("GET", "/api/domains?limit=1&q=example", nil).is(200).string("next_cursor")
	w.do("GET", "/api/domains?limit=2&q=example&cursor="+cursor, nil).is(200)
	for _, path := range []string{
		"/api/domains?cursor=" + cursor,
		"/api/domains?q=exampl&cursor=" + cursor,
		"/api/domains?q=example&status=active&cursor=" + cursor,
		"/api/domains?q=example&sort=name&cursor=" + cursor,
		"/api/domains?q=example&label=a&cursor=" + cursor,
		"/api/domains?q=example&expires_before=2030-01-01T00:00:00Z&cursor=" + cursor,
		"/api/jobs?cursor=" + cursor,
		"/api/certificates?cursor=" + cursor,
		"/api/tokens?cursor=" + cursor,
	} {
		w.do("GET", path, nil).problem(400, "invalid-cursor")
	}
	theirs := w.newToken(w.newOrg("Other"), lifecycle.NewToken{Scopes: controlplane.Scopes()})
	w.do("GET", "/api/domains?q=example&cursor="+cursor, nil, as(theirs)).problem(400,
		"invalid-cursor")

	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		forged := slices.Clone(raw)
		forged[i] ^= 1
		w.do("GET", "/api/domains?q=example&cursor="+base64.RawURLEncoding.EncodeToString(forged),
			nil).problem(400, "invalid-cursor")
	}
	w.do("GET", "/api/domains?q=example&cursor="+cursor[:len(cursor)-4], nil).problem(400,
		"invalid-cursor")
}

func TestFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shop := w.do("POST", "/api/domains", map[string]any{"name": "shop.example.com",
		"labels": map[string]string{"team": "red", "env": "prod"}}).is(201).string("id")
	blog := w.do("POST", "/api/domains", map[string]any{"name": "blog.example.com",
		"labels": map[string]string{"team": "blue"}}).is(201).string("id")
	w.exec(`UPDATE domains SET status = 'active', expires_at = '2030-01-01' WHERE id = $1`, blog)
	for query, want := range map[string][]string{
		"q=SHOP":                               {shop},
		"q=example.com&sort=name":              {blog, shop},
		"label=team%3Dred":                     {shop},
		"label=team&sort=name":                 {blog, shop},
		"label=env":                            {shop},
		"status=active":                        {blog},
		"status=error":                         nil,
		"expires_before=2031-01-01T00:00:00Z":  {blog},
		"expires_before=2029-01-01T00:00:00Z":  nil,
		"q=&label=&sort=-name&limit=200":       {shop, blog},
		"status=active&label=team%3Dblue&q=bl": {blog},
	} {
		if got := w.do("GET", "/api/domains?"+query, nil).is(200).ids(); !slices.Equal(got, want) {
			t.Errorf("%s lists %v, want %v", query, got, want)
		}
	}
	job := w.jobOf(w.org, shop).ID
	for query, want := range map[string][]string{
		"domain=" + shop:                         {job},
		"domain=Shop.Example.com.":               {job},
		"domain=" + shop + "&type=renewal":       nil,
		"domain=" + shop + "&status=queued":      {job},
		"domain=" + shop + "&status=succeeded":   nil,
		"type=dns_check&domain=shop.example.com": {job},
	} {
		if got := w.do("GET", "/api/jobs?"+query, nil).is(200).ids(); !slices.Equal(got, want) {
			t.Errorf("jobs?%s lists %v, want %v", query, got, want)
		}
	}
}
