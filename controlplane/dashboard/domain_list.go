package dashboard

import (
	"cmp"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// domainsPerPage is the number of rows on a page of the list.
	domainsPerPage = 50

	// statusAttention is the status filter for the domains whose state needs attention.
	statusAttention = "attention"

	// defaultSort is the order of a list without a sort parameter.
	defaultSort = "expires_at"
)

// domainListView is the data for templates/domain_list.html.
type domainListView struct {
	Used, Limit int
	Tier        string
	Add         addForm
	MayAdd      bool
	Query       string
	Status      string
	Sort        string
	Label       string // the filter
	Chips       []chip
	WithLabel   *chip  // removes the label's filter; nil without one
	Export      string // URL of the list as a file
	Columns     []column
	Rows        []domainRow
	Pages       pagesView
	Filtered    bool
}

// column is a table heading. Its link sorts the list.
type column struct {
	Label string
	URL   string
	Sort  string // aria-sort; empty if the list is not sorted by it
}

// domainRow is a row in the list.
type domainRow struct {
	ID, URL string
	Select  bool   // it has a box to select it
	Name    string // in Unicode
	ALabels string // the name as DNS has it, if Name is in Unicode
	Others  int    // number of further names in its certificate, without its wildcard
	Labels  []chip
	Summary summaryView
	Expires moment
}

// domainList is the list of domains with its filters and order. A cursor is valid for one
// domainList only.
type domainList struct {
	Org, Query, Status, Label, Sort string
}

// domainListOf returns the list that the visit's query asks for.
func (d *Dashboard) domainListOf(v *visit) (domainList, error) {
	query := v.URL.Query()
	l := domainList{Org: v.org.ID, Query: strings.TrimSpace(query.Get("q")),
		Status: query.Get("status"), Label: query.Get("label"),
		Sort: cmp.Or(query.Get("sort"), defaultSort)}
	return l, l.check()
}

// filter returns the filter of a page of the list.
func (l domainList) filter(limit int) postgres.DomainFilter {
	f := postgres.DomainFilter{Query: l.Query, Label: l.Label, Sort: l.Sort, Limit: limit}
	if l.Status == statusAttention {
		f.Attention = true
	} else {
		f.Status = controlplane.DomainStatus(l.Status)
	}
	return f
}

func (d *Dashboard) domainsPage(w http.ResponseWriter, v *visit) error {
	return d.showDomains(w, v, http.StatusOK, addForm{})
}

// showDomains responds with the list and the form to add a domain.
func (d *Dashboard) showDomains(w http.ResponseWriter, v *visit, status int, form addForm) error {
	l, err := d.domainListOf(v)
	if err != nil {
		return err
	}
	domains, pages, err := d.domainsAt(v, l)
	if err != nil {
		return err
	}
	used, err := d.store.DomainCount(v.Context(), v.org.ID)
	if err != nil {
		return err
	}
	counts, complete, err := d.store.CountDomains(v.Context(), v.org.ID, l.filter(0))
	if err != nil {
		return err
	}
	if form.Connections, err = d.addChoices(v, form.Connection); err != nil {
		return err
	}
	view := domainListView{Used: used, Limit: v.org.MaxDomains(), Tier: string(v.org.Tier),
		Add: form, MayAdd: v.may(controlplane.ScopeDomainsWrite), Query: l.Query, Status: l.Status,
		Sort: l.Sort, Label: l.Label, Chips: l.chips(counts, complete), WithLabel: l.withLabel(),
		Export: l.at("/domains.csv", "", ""), Columns: l.columns(), Pages: pages,
		Filtered: l.Query != "" || l.Status != "" || l.Label != ""}
	if used == 0 {
		view.Add.Focus = true
	}
	for i := range domains {
		row := v.domainRow(&domains[i], l)
		row.Select = view.MayAdd
		view.Rows = append(view.Rows, row)
	}
	return d.render(w, v, status, "domain_list",
		layout{Title: "Domains", Section: "domains", Flash: d.takeFlash(w, v), Page: view})
}

// domainsAt returns the page of the list that the visit's query asks for: the first one, the one
// after a cursor, or the one before it.
func (d *Dashboard) domainsAt(
	v *visit, l domainList,
) (domains []controlplane.Domain, pages pagesView, err error) {
	f := l.filter(domainsPerPage)
	if f.After, err = d.openCursor(l, v.URL.Query().Get("cursor")); err != nil {
		return nil, pages, err
	}
	if f.Before, err = d.openCursor(l, v.URL.Query().Get("before")); err != nil {
		return nil, pages, err
	}
	domains, further, err := d.store.ListDomains(v.Context(), v.org.ID, f)
	if err == nil && f.Before != nil && further == nil {
		// It is the start of the list, which has a whole page.
		f.Before = nil
		domains, further, err = d.store.ListDomains(v.Context(), v.org.ID, f)
	}
	if err != nil {
		return nil, pages, err
	}
	if f.After != nil || f.Before != nil {
		pages.First = l.url("")
		if len(domains) > 0 {
			pages.Previous = l.at("/domains", "before", d.sealCursor(l,
				f.DomainPosition(domains[0])))
		}
	}
	if f.Before != nil && len(domains) > 0 {
		further = f.DomainPosition(domains[len(domains)-1])
	}
	if further != nil {
		pages.Next = l.url(d.sealCursor(l, further))
	}
	return domains, pages, nil
}

func (v *visit) domainRow(d *controlplane.Domain, l domainList) domainRow {
	row := domainRow{ID: d.ID, Name: rules.UnicodeName(d.Name), URL: domainURL(d.ID),
		Others: len(d.AdditionalNames), Labels: l.labelChips(d.Labels),
		Summary: v.summaryView(d.Summary(v.now)), Expires: v.maybeAt(d.ExpiresAt)}
	if row.Name != d.Name {
		row.ALabels = d.Name
	}
	return row
}

// check returns an error for an invalid filter.
func (l domainList) check() error {
	if l.Status != "" && l.Status != statusAttention && !controlplane.DomainStatus(l.Status).Valid() {
		return invalidFilter("Unknown domain status.")
	}
	switch strings.TrimPrefix(l.Sort, "-") {
	case "created_at", "name", "expires_at":
	default:
		return invalidFilter("Unknown sort order.")
	}
	if l.Label != "" && !isLabelFilter(l.Label) {
		return invalidFilter("The label is neither a key nor key=value.")
	}
	if rules.CheckSearch(l.Query) != nil || !utf8.ValidString(l.Query) ||
		strings.ContainsFunc(l.Query, unicode.IsControl) {
		return invalidFilter(
			"The search text contains characters that a domain name can’t contain.")
	}
	return nil
}

// url returns the URL of this list at a cursor.
func (l domainList) url(cursor string) string { return l.at("/domains", "cursor", cursor) }

// at returns the URL of this list at a path, with a cursor in a parameter of that name.
func (l domainList) at(path, param, cursor string) string {
	if l.Sort == defaultSort {
		l.Sort = ""
	}
	return withQuery(path, queryOf(map[string]string{"q": l.Query, "status": l.Status,
		"label": l.Label, "sort": l.Sort, param: cursor}))
}

// chips returns the links that filter the list by status, each with the number of its domains. If
// the counts are not complete, only that of all is known.
func (l domainList) chips(counts postgres.DomainCounts, complete bool) []chip {
	words := []struct{ status, word string }{{statusAttention, "Needs attention"}, {"", "All"},
		{string(controlplane.DomainPendingCNAME), "Pending"},
		{string(controlplane.DomainIssuing), "Issuing"},
		{string(controlplane.DomainActive), "Active"}, {string(controlplane.DomainError), "Error"}}
	chips := make([]chip, len(words))
	for i, s := range words {
		to := l
		to.Status = s.status
		chips[i] = chip{Label: s.word, URL: to.url(""), Current: l.Status == s.status}
		n, known := counts.ByStatus[controlplane.DomainStatus(s.status)]
		switch s.status {
		case "":
			n, known = counts.All, true
		case statusAttention:
			n, known = counts.Attention, complete
			chips[i].Urgent = n > 0
		default:
			known = complete && (known || l.Query != "" || l.Label != "")
		}
		if known {
			chips[i].Count = countText(n, postgres.DomainsCounted)
		}
	}
	return chips
}

func (l domainList) columns() []column {
	words := []struct{ sort, word string }{{"name", "Domain"}, {"", "Status"},
		{"expires_at", "Expires"}, {"", "Next"}}
	columns := make([]column, len(words))
	for i, c := range words {
		columns[i].Label = c.word
		if c.sort == "" {
			continue
		}
		to := l
		to.Sort = c.sort
		switch l.Sort {
		case c.sort:
			columns[i].Sort, to.Sort = "ascending", "-"+c.sort
		case "-" + c.sort:
			columns[i].Sort = "descending"
		}
		columns[i].URL = to.url("")
	}
	return columns
}
