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
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// A file has all pages of the list, and no cell is a formula.
func TestExportDomains(t *testing.T) {
	s := newSignedIn(t)
	s.org = s.bigOrg(2 * edge.ExportPage)
	s.addMember(s.org, developer, controlplane.RoleOwner)
	s.post("/organizations/"+s.org.ID+"/switch", nil).to("/domains")
	names := make([]lifecycle.NewDomain, edge.ExportPage+3)
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

	for { // until the organization has the most exports that it can have
		leave, ok := s.dash.exports.Enter(s.org.ID)
		if !ok {
			break
		}
		defer leave()
	}
	s.get("/domains.csv").want(http.StatusTooManyRequests, "concurrent exports")
}
