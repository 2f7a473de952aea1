package dashboard

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// jobsPerPage is the number of rows on a page of the list.
const jobsPerPage = 50

// jobListView is the data for templates/job_list.html.
type jobListView struct {
	List        jobList
	Here        string // query of the list, for forms that redirect back to it
	DomainError string
	Chips       []chip
	Types       []choice
	Rows        []jobRow
	Pages       pagesView
	Filtered    bool
	MayAdd      bool
	Sample      pill
}

// jobRow is a row in the list of an organization's jobs.
type jobRow struct {
	jobView
	Domain, URL string // empty for a job without a domain; a delegation has no URL
	Created     moment
}

// jobList is the list of jobs with its filters. A cursor is valid for one jobList only.
type jobList struct {
	Org, Status, Type, Domain string
}

// jobsPage lists the organization's jobs, newest first. Deliveries, of which there can be several
// for each event, are on the pages of their webhooks, and here only if they are asked for.
func (d *Dashboard) jobsPage(w http.ResponseWriter, v *visit) error {
	l := newJobList(v.org.ID, v.URL.Query())
	if err := l.check(); err != nil {
		return err
	}
	view := jobListView{List: l, Here: l.values("").Encode(), Chips: l.chips(), Types: l.types(),
		Filtered: l != jobList{Org: l.Org}, MayAdd: v.may(controlplane.ScopeDomainsWrite),
		Sample: jobPill(&controlplane.Job{Status: controlplane.JobQueued})}
	filter := postgres.JobFilter{Status: controlplane.JobStatus(l.Status),
		Type: controlplane.JobType(l.Type), Work: l.Type == "", Limit: jobsPerPage}
	if l.Domain != "" {
		domain, err := d.domainBy(v, l.Domain)
		if controlplane.IsKind(err, controlplane.KindNotFound) {
			view.DomainError = "Domain not found in this organization."
			return d.showJobs(w, v, http.StatusNotFound, view)
		}
		if err != nil {
			return err
		}
		filter.DomainID = domain.ID
	}
	var err error
	if filter.After, err = d.openCursor(l, v.URL.Query().Get("cursor")); err != nil {
		return err
	}
	jobs, next, err := d.store.ListJobs(v.Context(), v.org.ID, filter)
	if err != nil {
		return err
	}
	if view.Rows, err = d.jobRows(v, jobs); err != nil {
		return err
	}
	if filter.After != nil {
		view.Pages.First = l.url("")
	}
	if next != nil {
		view.Pages.Next = l.url(d.sealCursor(l, next))
	}
	return d.showJobs(w, v, http.StatusOK, view)
}

func (d *Dashboard) showJobs(w http.ResponseWriter, v *visit, status int, view jobListView) error {
	return d.render(w, v, status, "job_list",
		layout{Title: "Jobs", Section: "jobs", Flash: d.takeFlash(w, v), Page: view})
}

func (d *Dashboard) jobRows(v *visit, jobs []controlplane.Job) ([]jobRow, error) {
	ids := make([]string, len(jobs))
	for i := range jobs {
		ids[i] = cmp.Or(jobs[i].DomainID, jobs[i].DelegationID)
	}
	names, err := d.names(v.Context(), v, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]jobRow, len(jobs))
	for i := range jobs {
		j := &jobs[i]
		rows[i] = jobRow{jobView: v.jobView(j), Created: v.at(j.CreatedAt)}
		if name := names[j.DomainID]; name != "" {
			rows[i].Domain, rows[i].URL = name, "/domains/"+j.DomainID
		} else {
			rows[i].Domain = names[j.DelegationID]
		}
	}
	return rows, nil
}

func newJobList(orgID string, q url.Values) jobList {
	return jobList{Org: orgID, Status: q.Get("status"), Type: q.Get("type"),
		Domain: strings.TrimSpace(q.Get("domain"))}
}

// check returns an error for an invalid filter.
func (l jobList) check() error {
	switch {
	case l.Status != "" && !controlplane.JobStatus(l.Status).Valid():
		return invalidFilter("Unknown job status.")
	case l.Type != "" && !controlplane.JobType(l.Type).Valid():
		return invalidFilter("Unknown job type.")
	}
	return nil
}

func (l jobList) values(cursor string) url.Values {
	return queryOf(map[string]string{"status": l.Status, "type": l.Type, "domain": l.Domain,
		"cursor": cursor})
}

// url returns the URL of this list at a cursor.
func (l jobList) url(cursor string) string {
	return withQuery("/jobs", l.values(cursor))
}

func (l jobList) chips() []chip {
	words := []struct{ status, word string }{{"", "All"}, {"queued", "Queued"},
		{"running", "Running"}, {"succeeded", "Succeeded"}, {"failed", "Dead letters"}}
	chips := make([]chip, len(words))
	for i, s := range words {
		to := l
		to.Status = s.status
		chips[i] = chip{Label: s.word, URL: to.url(""), Current: l.Status == s.status}
	}
	return chips
}

func (l jobList) types() []choice {
	choices := []choice{{Label: "All jobs except deliveries"}}
	for _, k := range controlplane.JobKinds() {
		choices = append(choices, choice{Value: string(k.Type), Label: k.Title,
			Selected: l.Type == string(k.Type)})
	}
	return choices
}
