package dashboard

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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

// A file ends, incomplete, with the session that requested it. A step has one line in it.
func TestExportEndsWithItsSession(t *testing.T) {
	s := newSignedIn(t)
	s.org = s.bigOrg(2 * edge.ExportPage)
	s.addMember(s.org, developer, controlplane.RoleOwner)
	s.post("/organizations/"+s.org.ID+"/switch", nil).to("/domains")
	for n := range 6 {
		some := make([]lifecycle.NewDomain, 100)
		for i := range some {
			some[i] = lifecycle.NewDomain{Name: fmt.Sprintf("d%d-%d.example.com", n, i)}
		}
		_, err := s.life.AddDomains(s.t.Context(), controlplane.System("test"), s.org.ID, some)
		s.must(err)
	}
	s.misconfigure(s.add(s.org, "a.example.com"))
	s.exec(`UPDATE domains SET conditions = jsonb_set(conditions, '{0,fix}', '"One line.\nAnother."') WHERE name = 'a.example.com'`)
	request := func(w http.ResponseWriter) (aborted any) {
		defer func() { aborted = recover() }()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/domains.csv?sort=name", nil)
		r.AddCookie(&http.Cookie{Name: "dcvaas_session", Value: s.cookieOf()})
		s.dash.ServeHTTP(w, r)
		return nil
	}
	whole := httptest.NewRecorder()
	if got := request(whole); got != nil || whole.Code != http.StatusOK {
		t.Fatalf("export = %d, %v, want a whole file", whole.Code, got)
	}
	if !strings.Contains(whole.Body.String(), "One line. Another.") {
		t.Errorf("export lacks the step in one line: %.400s", whole.Body)
	}
	ending := &onWrite{ResponseWriter: httptest.NewRecorder(), do: sync.OnceFunc(func() {
		s.endSessions(developer)
	})}
	if got, _ := request(ending).(error); !errors.Is(got, http.ErrAbortHandler) {
		t.Errorf("export after the end of its session: %v, want it aborted", got)
	}
}

// onWrite runs do before each write.
type onWrite struct {
	http.ResponseWriter
	do func()
}

func (w *onWrite) Write(b []byte) (int, error) {
	w.do()
	return w.ResponseWriter.Write(b)
}

func (w *onWrite) Flush()                           {}
func (w *onWrite) SetWriteDeadline(time.Time) error { return nil }
