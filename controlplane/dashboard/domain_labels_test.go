package dashboard

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// label sets the labels of a domain.
func (s *site) label(d *controlplane.Domain, labels map[string]string) {
	s.t.Helper()
	_, err := s.life.UpdateDomain(s.t.Context(), controlplane.System("test"), d.OrgID, d.ID, 0,
		lifecycle.DomainPatch{Labels: &labels})
	s.must(err)
}

func TestFilterByLabel(t *testing.T) {
	s := newSignedIn(t)
	web, mail := s.add(s.org, "web.example.com"), s.add(s.org, "mail.example.com")
	s.add(s.org, "bare.example.com")
	s.label(web, map[string]string{"team": "web", "env": "a&b=c", "x1": "", "x2": ""})
	s.label(mail, map[string]string{"team": "mail"})
	page := s.get("/domains?sort=name").want(http.StatusOK, "team=web", "env=a&b=c", "team=mail").
		has(`href="/domains?label=team%3Dweb&amp;sort=name"`).hasNot("x2=")
	link := page.part(`href="/domains?label=env`, `<bdi>`)
	if link != "" {
		t.Errorf("text before the label = %q", link)
	}
	s.get("/domains?label=team%3Dweb&q=example").want(http.StatusOK, "web.example.com",
		"Remove the filter by label").hasNot(mail.ID).
		has(`href="/domains?q=example"`, `<input type="hidden" name="label" value="team=web">`)
	s.get("/domains?label=env%3Da%26b%3Dc").want(http.StatusOK, "web.example.com").hasNot(mail.ID)
	s.get("/domains?label=team").want(http.StatusOK, "web.example.com",
		"mail.example.com").hasNot("bare.example.com")
	s.get("/domains?label=team%3Dnone").want(http.StatusOK, "No domains match", "team=none")
}

// A file has all pages of the list, and no cell is a formula.
func TestExportDomains(t *testing.T) {
	s := newSignedIn(t)
	s.org = s.bigOrg(2 * exportPage)
	s.addMember(s.org, developer, controlplane.RoleOwner)
	s.post("/organizations/"+s.org.ID+"/switch", nil).to("/domains")
	names := make([]lifecycle.NewDomain, exportPage+3)
	for i := range names {
		names[i] = lifecycle.NewDomain{Name: fmt.Sprintf("d%04d.example.com", i)}
	}
	for some := range slices.Chunk(names, 100) {
		_, err := s.life.AddDomains(s.t.Context(), controlplane.System("test"), s.org.ID, some)
		s.must(err)
	}
	d := s.addNames("münchen.example", "www.example.org", "*.example.net")
	s.label(d, map[string]string{"team": "web", "env": `=1+1,"`})
	s.issue(d)
	s.add(s.newOrg("Other Ltd"), "foreign.example.com")

	read := func(query string) [][]string {
		a := s.get("/domains.csv" + query).want(http.StatusOK)
		if got := a.header.Get("Content-Disposition"); !strings.HasPrefix(got,
			`attachment; filename="domains-`) {
			t.Errorf("Content-Disposition = %q", got)
		}
		rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
		s.must(err)
		if !slices.Equal(rows[0], exportColumns) {
			t.Errorf("columns = %q", rows[0])
		}
		return rows[1:]
	}
	all := read("?sort=name")
	if len(all) != len(names)+1 || all[0][0] != "d0000.example.com" ||
		all[len(names)-1][0] != names[len(names)-1].Name {
		t.Errorf("%d rows from %q to %q, want %d by name", len(all), all[0], all[len(all)-1],
			len(names)+1)
	}
	some := read("?q=" + url.QueryEscape("münchen"))
	if len(some) != 1 {
		t.Fatalf("rows = %q, want one", some)
	}
	row := some[0]
	if row[7] = ""; !slices.Equal(row, []string{"xn--mnchen-3ya.example", "münchen.example",
		"*.example.net www.example.org", "No", "Active", row[5], row[6], "", `env==1+1," team=web`,
		d.ID}) {
		t.Errorf("row = %q", row)
	}
	if got := read("?label=none"); len(got) != 0 {
		t.Errorf("rows = %q, want none", got)
	}
}
