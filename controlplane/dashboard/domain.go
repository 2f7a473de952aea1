package dashboard

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	jobsShown         = 8
	certificatesShown = 6
	timelineShown     = 60
)

func domainURL(id string) string { return "/domains/" + id }

// domainView is the data for templates/domain.html. The elements that can change while the page is
// open have the attribute data-live; static/live.js replaces them.
type domainView struct {
	URL         string
	Events      string // URL of the event stream
	State       string // liveState of the shown data; the stream sends the current one
	Name        string
	Unicode     string // the name with A-labels in Unicode
	Summary     summaryView
	Actions     []action
	Record      *recordView  // of a domain with one record
	Records     *recordsView // of a domain with several
	Names       *namesForm   // nil: the user may not change the names
	Through     *throughView // nil: the user may not create records
	Conditions  []conditionView
	Certificate *certificateView
	Older       []certificateView
	Options     []fact
	SettingsURL string // empty: the user may not change them
	Jobs        []jobView
	Timeline    []eventView
}

// fact is a name with its value.
type fact struct {
	Name, Value string
	Mono        bool
	Copy        bool
}

// action is a button that requests a job.
type action struct {
	ID, URL, Label, Icon string
	Primary              bool
}

func (d *Dashboard) domainPage(w http.ResponseWriter, v *visit) error {
	ref := mux.Vars(v.Request)["domain"]
	domain, err := d.domain(v)
	if err != nil {
		return err
	}
	if ref != domain.ID {
		http.Redirect(w, v.Request, "/domains/"+domain.ID, http.StatusSeeOther)
		return nil
	}
	return d.showDomain(w, v, http.StatusOK, domain, nil)
}

// showDomain responds with a domain's page. names is the submitted form with its errors, or nil.
func (d *Dashboard) showDomain(
	w http.ResponseWriter, v *visit, status int, domain *controlplane.Domain, names *namesForm,
) error {
	view, err := d.domainView(v.Context(), v, domain)
	if err != nil {
		return err
	}
	if names != nil {
		view.Names = names
	}
	return d.render(w, v, status,
		"domain", layout{Title: domain.Name, Section: "domains", Flash: d.takeFlash(w, v),
			Page: view})
}

// domain returns the domain in the URL.
func (d *Dashboard) domain(v *visit) (*controlplane.Domain, error) {
	return d.domainBy(v, mux.Vars(v.Request)["domain"])
}

// lockedDomain returns the domain that a form changes: with the results of its delegations, as
// pages show it, and as it is stored, locked until the form's transaction ends.
func (d *Dashboard) lockedDomain(v *visit) (domain, stored *controlplane.Domain, err error) {
	if domain, err = d.domain(v); err != nil {
		return nil, nil, err
	}
	if err := v.ParseForm(); err != nil {
		return nil, nil, badForm(err)
	}
	err = d.store.InTx(v.Context(), func(t *postgres.Tx) (err error) {
		stored, err = t.LockDomain(v.Context(), v.org.ID, domain.ID)
		return err
	})
	return domain, stored, err
}

// domainBy returns a domain by its ID or name.
func (d *Dashboard) domainBy(v *visit, ref string) (*controlplane.Domain, error) {
	if !controlplane.IsID(controlplane.PrefixDomain, ref) {
		name, err := rules.CanonicalName(ref)
		if err != nil {
			return nil, controlplane.NotFound("domain", ref)
		}
		ref = name
	}
	return d.store.Domain(v.Context(), v.org.ID, ref)
}

func (d *Dashboard) domainView(
	ctx context.Context, v *visit, domain *controlplane.Domain,
) (*domainView, error) {
	jobs, _, err := d.store.ListJobs(ctx, v.org.ID,
		postgres.JobFilter{DomainID: domain.ID, Limit: jobsShown})
	if err != nil {
		return nil, err
	}
	certificates, _, err := d.store.ListCertificates(ctx, v.org.ID,
		postgres.CertificateFilter{DomainID: domain.ID, Limit: certificatesShown})
	if err != nil {
		return nil, err
	}
	entries, _, err := d.store.ListLog(ctx, v.org.ID,
		postgres.LogFilter{DomainID: domain.ID, Limit: timelineShown})
	if err != nil {
		return nil, err
	}
	summary := domain.Summary(v.now)
	view := &domainView{URL: "/domains/" + domain.ID, Events: "/domains/" + domain.ID +
		"/events", State: liveState(domain, jobs, v.now), Name: domain.Name,
		Unicode: rules.UnicodeName(domain.Name), Summary: v.summaryView(summary),
		Conditions: v.conditions(domain, summary), Options: options(domain)}
	if len(domain.Targets) == 0 {
		view.Record = d.recordView(domain, summary)
	} else {
		view.Records = d.recordsView(domain)
	}
	if view.Through, err = d.throughView(v, domain); err != nil {
		return nil, err
	}
	if v.may(controlplane.ScopeDomainsWrite) {
		view.Actions, view.Names = actions(domain, summary), newNamesForm(domain)
		view.SettingsURL = settingsURL(domain.ID)
	}
	for i := range certificates {
		c := v.certificateView(&certificates[i], domain)
		if c.Current {
			view.Certificate = &c
		} else {
			view.Older = append(view.Older, c)
		}
	}
	for i := range jobs {
		view.Jobs = append(view.Jobs, v.jobView(&jobs[i]))
	}
	actors := make([]string, len(entries))
	for i := range entries {
		actors[i] = entries[i].Actor.ID
	}
	names, err := d.names(ctx, v, actors)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		view.Timeline = append(view.Timeline, v.eventView(&entries[i], names))
	}
	return view, nil
}

// liveState returns a fingerprint of the data on a domain's page. It changes whenever the page
// would.
func liveState(d *controlplane.Domain, jobs []controlplane.Job, now time.Time) string {
	h := fnv.New64a()
	fmt.Fprintln(h, d.Summary(now).State)
	for i := range jobs {
		j := &jobs[i]
		fmt.Fprintf(h, "%s %s %s %d %d %v\n", j.ID, j.Status, j.Reason, j.Attempts,
			j.RunAt.UnixMicro(), j.UpdatedAt.UnixMicro())
	}
	return fmt.Sprintf("%d-%x", d.Version, h.Sum64())
}

// actions returns the buttons of a domain's page. The first is the one most likely to help; it is
// primary if it takes the next step, or follows it.
func actions(d *controlplane.Domain, s controlplane.Summary) []action {
	base := "/domains/" + d.ID
	check := action{ID: "check", URL: base + "/check", Label: "Check now", Icon: "search"}
	order := action{ID: "issue", URL: base + "/issue", Label: "Issue now", Icon: "lock"}
	if d.CertificateID != "" {
		order = action{ID: "renew", URL: base + "/renew", Label: "Renew now", Icon: "cycle"}
	}
	if s.Request == controlplane.JobDNSCheck ||
		s.Request == "" && d.Condition(controlplane.DNSReady).Status != controlplane.ConditionTrue {
		check.Primary = s.Request != ""
		return []action{check, order}
	}
	order.Primary = s.Request != ""
	return []action{order, check}
}

// options returns the settings of a domain.
func options(d *controlplane.Domain) []fact {
	yes := func(b bool, on, off string) string {
		if b {
			return on
		}
		return off
	}
	facts := []fact{
		{Name: "Names", Value: strings.Join(d.Names(), ", "), Mono: true},
		{Name: "Key", Value: yes(d.CSRPEM != "", keyTitle(d.KeyType)+", held by you (CSR)",
			keyTitle(d.KeyType)+", new for every certificate")},
		{Name: "Auto-issue", Value: yes(d.AutoIssue, "Yes, after DNS verification",
			"No, only on request")},
		{Name: "Auto-renew", Value: yes(d.AutoRenew, "Yes", "No, only on request")},
	}
	for _, o := range []fact{{Name: "Preferred CA", Value: d.CA},
		{Name: "Profile", Value: d.Profile}, {Name: "Preferred chain", Value: d.PreferredChain}} {
		if o.Value != "" {
			facts = append(facts, o)
		}
	}
	if len(d.Labels) > 0 {
		facts = append(facts, fact{Name: "Labels", Value: labelLines(d.Labels), Mono: true})
	}
	return append(facts, fact{Name: "ID", Value: d.ID, Mono: true, Copy: true})
}
