package dashboard

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

var walkFull = flag.Bool("walk.full", false,
	"send each value of the other organization in each field of each page")

// fieldNames returns the names of the fields that the pages read from queries and forms, according
// to their source.
func fieldNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(
			`(?:\.(?:Get|Has|FormValue|PostFormValue)\(|Form\[|\bf\[|\bq\[)"([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
			names[m[1]] = true
		}
	}
	if len(names) < 20 {
		t.Fatalf("fieldNames() = %d names, want at least 20: %v", len(names), names)
	}
	return slices.Sorted(maps.Keys(names))
}

// fillPages adds more than a page of everything that has a list.
func (s *site) fillPages(p tenant) {
	s.t.Helper()
	for i := range 2 + max(domainsPerPage, tokensPerPage, peoplePerPage, webhooksPerPage,
		connectionsPerPage, accountsPerPage, jobsPerPage, deliveriesPerPage) {
		s.add(p.org, fmt.Sprintf("n%d.%s", i, p.domain.Name))
		s.token(p.org, lifecycle.NewToken{Name: fmt.Sprintf("token %d of %s", i, p.org.Name)})
		s.addMember(p.org, controlplane.GitHubAccount{ID: int64(1)<<51 + int64(i),
			Login: fmt.Sprintf("crowd-%d", i)}, controlplane.RoleMember)
		p.owner.post(membersPath, url.Values{"role": {"member"},
			"days": {"7"}}).want(http.StatusSeeOther)
		p.owner.post("/webhooks", url.Values{"url": {fmt.Sprintf("https://%d.%s/", i,
			p.domain.Name)}, "all": {"1"}}).want(http.StatusSeeOther)
		s.connection(p.org, fmt.Sprintf("ns%d of %s", i, p.org.Name), p.domain.Name)
		s.account(p.org, fmt.Sprintf("client %d of %s", i, p.org.Name))
	}
}

// It requests every route with IDs and names of another organization in the path, the query, and
// the form, and with cursors of its lists. Each response is the one for an object that does not
// exist, shows nothing of the other organization, and changes nothing in it.
func TestAccessToOtherOrganizations(t *testing.T) {
	s := newSite(t, withSealer(t))
	theirs, twin := s.newTenant("quokka"), s.newTenant("wombat")
	texts := postgrestest.RowsOf(t, s.dsn,
		theirs.org.ID).Texts(postgrestest.RowsOf(t, s.dsn, twin.org.ID))
	s.fillPages(theirs)
	rows := postgrestest.RowsOf(t, s.dsn, theirs.org.ID)
	f := intruder{site: s, own: s.newTenant("own"), theirs: theirs,
		texts: append(texts, theirs.org.ID),
		names: fieldNames(t), cursors: map[string][]url.Values{}}
	f.values = []string{theirs.domain.Name, theirs.domain.ID, theirs.member.User.Login,
		theirs.member.User.ID, theirs.job.ID, theirs.certificate.ID, theirs.token.ID,
		theirs.invitation, theirs.webhook, theirs.connection, theirs.acme, theirs.key,
		theirs.delivery, theirs.session, theirs.org.ID, theirs.org.Name}
	routes := s.allRoutes()
	for _, r := range routes {
		f.collect(r)
	}
	t.Run("walk", func(t *testing.T) {
		for _, r := range routes {
			t.Run(r.String(), func(t *testing.T) {
				t.Parallel()
				f := f
				f.site = s.withT(t)
				f.walk(r, r.access(t))
			})
		}
	})
	if diff := postgrestest.RowsOf(t, s.dsn, theirs.org.ID).Diff(rows); diff != "" {
		t.Errorf("rows of the other organization changed:\n%s", diff)
	}
}

// intruder requests the routes as the owner of one organization with texts of another one.
type intruder struct {
	*site
	own     tenant // used for GET requests, which change nothing
	theirs  tenant
	texts   []string // texts that only the other organization has
	values  []string // values to send
	names   []string // field names
	cursors map[string][]url.Values
	stored  string // what the requests of a route stored in the own organization
}

var toFurtherPage = regexp.MustCompile(`[?&;](cursor|invitations)=([A-Za-z0-9_-]+)`)

// collect collects the cursors in the other organization's lists.
func (f *intruder) collect(r route) {
	f.t.Helper()
	want := accesses[r.String()].pages
	if want == 0 {
		return
	}
	page := f.theirs.owner.sendTo(r, f.theirs.path(r.template), nil)
	for _, m := range toFurtherPage.FindAllStringSubmatch(page.body, -1) {
		f.cursors[r.String()] = append(f.cursors[r.String()], url.Values{m[1]: {m[2]}})
	}
	if got := len(f.cursors[r.String()]); got < want {
		f.t.Errorf("%s of the other organization links to %d further pages, want %d: add more in fillPages (access_place_test.go)", r, got, want)
	}
}

func (f *intruder) walk(r route, a access) {
	f.t.Helper()
	own := f.own
	if r.method != http.MethodGet { // it changes its objects
		own = f.newTenant("own")
	}
	visitor := own.owner.withT(f.t)
	see := func(path string, form url.Values) response {
		f.t.Helper()
		got := visitor.sendTo(r, path, form)
		f.checkHidden(r, got, path, form)
		return got
	}
	template := strings.ReplaceAll(r.template, "{part:fullchain|leaf|chain}", "fullchain")
	gone := a.gone
	if gone == 0 {
		gone = http.StatusNotFound
	}
	for _, param := range r.params() {
		gone := gone
		if param == "{reading}" { // a secret that was shown looks the same
			gone = http.StatusGone
		}
		for _, value := range append(f.values, f.theirs.domain.Target) {
			path := own.path(strings.ReplaceAll(template, param, url.PathEscape(value)))
			if got := see(path, a.formOf(own)); got.status != gone &&
				(!a.open || got.status != http.StatusForbidden) {
				f.t.Errorf("%s %s of another organization: status %d, want %d: %.300s", r.method,
					path, got.status, gone, got.text)
			}
		}
	}
	if len(r.params()) > 0 && !a.open {
		if got := see(f.theirs.path(template), a.formOf(f.theirs)); got.status != gone {
			f.t.Errorf("%s of another organization: status %d, want %d: %.300s", r, got.status,
				gone, got.text)
		}
	}
	if a.open && r.method == http.MethodPost {
		return // signs in or out
	}
	path := own.path(template)
	for _, cursor := range f.cursors[r.String()] {
		if got := see(path+"?"+cursor.Encode(), nil); got.status != http.StatusBadRequest {
			f.t.Errorf("%s with another organization's link to a further page: status %d, want 400: %.300s", r, got.status, got.text)
		}
	}
	for i, value := range f.values {
		all := url.Values{}
		for _, name := range f.names {
			all.Set(name, value)
		}
		for _, values := range f.single(a.formOf(own), value, i == 0 || *walkFull, r.method) {
			f.send(see, r, path, values)
		}
		f.send(see, r, path, all)
	}
}

// single returns queries or forms that each have the value in one field: every field of the form,
// and all known names for a query.
func (f *intruder) single(form url.Values, value string, queries bool, method string) []url.Values {
	var found []url.Values
	if method == http.MethodGet && queries {
		for _, name := range f.names {
			found = append(found, url.Values{name: {value}})
		}
	}
	for name := range form {
		one := maps.Clone(form)
		one[name] = []string{value}
		found = append(found, one)
	}
	return found
}

// send sends a GET request with a query, or a POST request with a form.
func (f *intruder) send(
	see func(string, url.Values) response, r route, path string, values url.Values,
) {
	f.t.Helper()
	var got response
	if r.method == http.MethodGet {
		got = see(path+"?"+values.Encode(), nil)
	} else {
		got = see(path, values)
	}
	if got.status >= http.StatusInternalServerError {
		f.t.Errorf("%s with %s: status %d: %.300s", r, values.Encode(), got.status, got.text)
	}
}

// checkHidden fails if the response has a text that only the other organization has and that was
// not in the request.
func (f *intruder) checkHidden(r route, a response, path string, form url.Values) {
	f.t.Helper()
	plain, _ := url.PathUnescape(path)
	query, _ := url.QueryUnescape(path)
	sent, _ := url.QueryUnescape(form.Encode())
	if form != nil && a.status < http.StatusBadRequest {
		f.stored += sent + "\n"
	}
	asked := path + "\n" + plain + "\n" + query + "\n" + sent + "\n" + f.stored
	var headers strings.Builder
	_ = a.header.Write(&headers)
	for _, text := range f.texts {
		if !strings.Contains(asked, text) &&
			(strings.Contains(a.body, text) || strings.Contains(headers.String(), text)) {
			f.t.Errorf("%s %s with %q shows %q of the other organization: status %d\n%s\n%.2000s",
				r.method, path, sent, text, a.status, headers.String(), a.text)
		}
	}
}
