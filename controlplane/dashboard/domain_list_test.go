package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

func TestNoDomains(t *testing.T) {
	s := newSignedIn(t)
	s.get("/domains").want(http.StatusOK, "No domains yet", "0 of 15 on the pro plan",
		"_acme-challenge.example.com").
		has("autofocus", `<label for="name">`).hasNot("<table", `type="search"`)
}

func TestAddDomain(t *testing.T) {
	s := newSignedIn(t)
	a := s.post("/domains", url.Values{"name": {"  Example.COM. "}})
	a.want(http.StatusSeeOther)
	s.get(a.header.Get("Location")).want(http.StatusOK, "example.com", "Domain added",
		"Waiting Not checked yet", "_acme-challenge.example.com")
	s.get(a.header.Get("Location")).hasNot("Create the record below") // shown once
	d, err := s.store.Domain(t.Context(), s.org.ID, "example.com")
	s.must(err)
	if d.Wildcard || !d.AutoIssue || !d.AutoRenew {
		t.Errorf("options = %+v, want auto-issue and auto-renew without a wildcard", d.Options)
	}
	log, _, err := s.store.ListLog(t.Context(), s.org.ID,
		postgres.LogFilter{EntityID: d.ID, Limit: 10})
	s.must(err)
	if len(log) != 1 || log[0].Actor.Type != controlplane.ActorUser ||
		log[0].Actor.ID != s.sessionOf(s).User.ID || log[0].Actor.IP != "127.0.0.1" ||
		log[0].Actor.RequestID == "" {
		t.Errorf("audit log = %+v, want one entry of the signed-in user with IP address and request ID", log)
	}
	s.post("/domains", url.Values{"name": {"example.org"}, "wildcard": {"1"}}).want(
		http.StatusSeeOther)
	d, err = s.store.Domain(t.Context(), s.org.ID, "example.org")
	s.must(err)
	if !d.Wildcard {
		t.Error("Wildcard = false, want true")
	}
}

func TestAddInvalidDomain(t *testing.T) {
	s := newSignedIn(t)
	existing := s.add(s.org, "example.com")
	for _, c := range []struct {
		name   string
		status int
		says   string
	}{
		{"", http.StatusUnprocessableEntity, "The name is empty."},
		{"*.example.org", http.StatusUnprocessableEntity,
			"select “Include all subdomains one level down”"},
		{"10.0.0.1", http.StatusUnprocessableEntity, "is an IP address"},
		{"co.uk", http.StatusUnprocessableEntity, "is a public suffix"},
		{"nas.lan", http.StatusUnprocessableEntity, "not a top-level domain"},
		{"1.2.3.4.5.6.7.8.9.example.org", http.StatusUnprocessableEntity, "more than 10 labels"},
		{"a_b.example.org", http.StatusUnprocessableEntity, "contains an underscore"},
		{"exa mple.com", http.StatusUnprocessableEntity, "has only one label"},
		{"https://example.org/", http.StatusUnprocessableEntity, "Use only the host name"},
		{"😀.example", http.StatusUnprocessableEntity, "😀.example"},
		{"-a.example.org", http.StatusUnprocessableEntity, "is not a valid domain name"},
		{strings.Repeat("a.", 200) + "com", http.StatusUnprocessableEntity, "237 characters"},
		{`"><script>alert(1)</script>`, http.StatusUnprocessableEntity, "looks like a URL"},
		{"example.org\x00", http.StatusUnprocessableEntity, "not a valid domain name"},
		{"EXAMPLE.com", http.StatusConflict, "is in this organization already"},
	} {
		a := s.post("/domains", url.Values{"name": {c.name}}).want(c.status, c.says)
		a.has(`aria-invalid="true"`, `aria-describedby="name-error"`,
			"autofocus").hasNot("<script>alert")
		if c.status == http.StatusConflict {
			a.has(`value="EXAMPLE.com"`, `href="/domains/`+existing.ID+`"`)
		}
	}
}

func TestDomainLimit(t *testing.T) {
	s := newSignedIn(t)
	for i := range 15 {
		s.add(s.org, fmt.Sprintf("d%d.example.com", i))
	}
	s.post("/domains", url.Values{"name": {"one-more.example.com"}}).want(http.StatusForbidden,
		"The pro plan includes 15 domains").has(`value="one-more.example.com"`)
}

func TestDomainList(t *testing.T) {
	s := newSignedIn(t)
	first := s.add(s.org, "alpha.example.com")
	s.add(s.org, "beta.example.com")
	s.add(s.newOrg("Other Ltd"), "foreign.example.com")
	s.issue(first)
	all := s.get("/domains").want(http.StatusOK, "2 of 15", "alpha.example.com", "Active",
		"Renewal in 60 days", "beta.example.com", "Waiting Not checked yet").
		hasNot("foreign.example.com")
	if strings.Index(all.text, "alpha.example.com") > strings.Index(all.text, "beta.example.com") {
		t.Error("the domain that expires soonest is not first")
	}
	s.get("/domains?status=active").want(http.StatusOK,
		"alpha.example.com").hasNot("beta.example.com").has(
		`href="/domains?status=active" aria-current="true"`)
	s.get("/domains?q=BETA").want(http.StatusOK, "beta.example.com").hasNot("alpha.example.com")
	s.get("/domains?q=gamma").want(http.StatusOK, "No domains match", "Show all domains")
	s.get("/domains?sort=-name").want(http.StatusOK).has(`aria-sort="descending"`)
	desc := s.get("/domains?sort=-name")
	if strings.Index(desc.text, "alpha.example.com") < strings.Index(desc.text,
		"beta.example.com") {
		t.Error("the list is not sorted by name, descending")
	}
}

// The filter by attention has exactly the domains whose state needs it, as the chip's number says.
func TestDomainsThatNeedAttention(t *testing.T) {
	s := newSignedIn(t)
	all := s.summarized()
	page := s.get("/domains?status=attention").want(http.StatusOK)
	want := 0
	for name, d := range all {
		row := `<a class="mono" href="/domains/` + d.ID + `"`
		if !d.Summary(time.Now()).State.NeedsAttention() {
			page.hasNot(row)
			continue
		}
		page.has(row)
		if want++; want == 1 {
			s.get("/domains.csv?status=attention").want(http.StatusOK, name)
		}
	}
	if want < 4 || want == len(all) {
		t.Fatalf("%d of %d domains need attention, want some", want, len(all))
	}
	s.get("/domains").want(http.StatusOK, fmt.Sprintf("Needs attention %d All %d Pending", want,
		len(all)))
	s.get("/domains?q=forbidden").want(http.StatusOK,
		"Needs attention 1 All 1 Pending 1 Issuing 0 Active 0 Error 0")
}

func TestCountText(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 10_000: "10,000",
		10_001: "10,000+"} {
		if got := countText(n, 10_000); got != want {
			t.Errorf("countText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestInvalidDomainFilters(t *testing.T) {
	s := newSignedIn(t)
	for _, query := range []string{"status=gone", "sort=secret", "cursor=abc", "cursor=" +
		strings.Repeat("A", 80), "q=%00", "q=%ff", "q=" + strings.Repeat("a", 300),
		"label=%3Dweb", "label=" + strings.Repeat("a", 300), "label=a%00"} {
		s.get("/domains?" + query).want(http.StatusBadRequest)
		if !strings.HasPrefix(query, "cursor") { // a file has all pages
			s.get("/domains.csv?" + query).want(http.StatusBadRequest)
		}
	}
}

func TestSearchUnicodeName(t *testing.T) {
	s := newSignedIn(t)
	d := s.add(s.org, "münchen.example")
	s.get("/domains/"+d.ID).want(http.StatusOK, "münchen.example xn--mnchen-3ya.example")
	s.add(s.org, "berlin.example")
	for _, query := range []string{"münchen.example", "München", "ünch"} {
		s.get("/domains?q="+url.QueryEscape(query)).want(http.StatusOK,
			"münchen.example xn--mnchen-3ya.example").hasNot("berlin.example")
	}
}

var previousDomainsLink = regexp.MustCompile(`href="(/domains\?[^"]*before=[^"]*)"`)

var nextDomainsLink = regexp.MustCompile(`href="(/domains\?[^"]*cursor=[^"]*)"`)

func TestDomainListPages(t *testing.T) {
	limit := 200
	s := newSignedIn(t)
	s.org = s.bigOrg(limit)
	s.addMember(s.org, developer, controlplane.RoleOwner)
	s.post("/organizations/"+s.org.ID+"/switch", nil).to("/domains")
	for i := range domainsPerPage + 10 {
		s.add(s.org, fmt.Sprintf("d%03d.example.com", i))
	}
	first := s.get("/domains?sort=name").want(http.StatusOK, "d000.example.com", "d049.example.com",
		"Next page").hasNot("d050.example.com", "First page")
	link := strings.ReplaceAll(nextDomainsLink.FindStringSubmatch(first.body)[1], "&amp;", "&")
	last := s.get(link).want(http.StatusOK, "d050.example.com", "d059.example.com", "First page",
		"Previous page").hasNot("d049.example.com", "Next page")
	back := strings.ReplaceAll(previousDomainsLink.FindStringSubmatch(last.body)[1], "&amp;", "&")
	s.get(back).want(http.StatusOK, "d000.example.com", "d049.example.com",
		"Next page").hasNot("d050.example.com")
	s.get(strings.Replace(back, "sort=name", "sort=-name", 1)).want(http.StatusBadRequest)
	// A cursor is valid for its own list only.
	s.get(strings.Replace(link, "sort=name", "sort=-name", 1)).want(http.StatusBadRequest)
	s.get(link + "&q=d0").want(http.StatusBadRequest)
}

func TestRelative(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "now", time.Second: "now", 5 * time.Second: "in 5 s", -59 * time.Second: "59 s ago",
		time.Minute: "in 1 min", -89 * time.Minute: "1 h ago",
		59*time.Second + 600*time.Millisecond: "in 1 min", 7*24*time.Hour - time.Second: "in 7 days",
		47 * time.Hour: "in 47 h", 48 * time.Hour: "in 2 days", -89 * 24 * time.Hour: "89 days ago",
		3 * 366 * 24 * time.Hour: "in 3 years",
	} {
		if got := relative(d); got != want {
			t.Errorf("relative(%v) = %q, want %q", d, got, want)
		}
	}
}
