package dashboard

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// domainDNSPath is the path of the page that creates the records of a domain.
const domainDNSPath = domainPath + "/dns"

// domainDNSView is the data for templates/domain_dns.html.
type domainDNSView struct {
	URL         string
	Domain      string // URL
	Name        string
	Connections []choice
	AddURL      string // of the page to add a connection; empty if the user cannot
	Error       string
	Plan        *recordPlanView // nil without a connection, or if the host could not be asked
}

// recordPlanView is what the creation of the records would change.
type recordPlanView struct {
	ID         string
	Connection string // ID
	Changes    []recordChange
	Manual     []recordChange // that the connection can't create
	Creates    bool           // something is created without replacing anything
	Replaces   bool           // something would be replaced
	Default    bool           // the connection is the domain's already
}

// recordChange is the change of one name.
type recordChange struct {
	Name, Zone string
	Pill       pill
	Before     []string
	After      string
	Detail     string
}

// domainDNSPage shows what the creation of a domain's records through a connection would change.
func (d *Dashboard) domainDNSPage(w http.ResponseWriter, v *visit) error {
	domain, err := d.domain(v)
	if err != nil {
		return err
	}
	return d.showDomainDNS(w, v, http.StatusOK, domain, v.URL.Query().Get("connection"), "")
}

// showDomainDNS responds with the plan of a domain's records through a connection. Without one, it
// chooses the domain's, or the only one.
func (d *Dashboard) showDomainDNS(
	w http.ResponseWriter, v *visit, status int, domain *controlplane.Domain, connection,
	wrong string,
) error {
	list, _, err := d.store.ListConnections(v.Context(), v.org.ID, nil, connectionsPerPage)
	if err != nil {
		return err
	}
	if connection == "" {
		connection = domain.ConnectionID
	}
	if connection == "" && len(list) == 1 {
		connection = list[0].ID
	}
	view := domainDNSView{URL: domainURL(domain.ID) + "/dns", Domain: domainURL(domain.ID),
		Name: domain.Name, Error: wrong}
	if v.may(controlplane.ScopeConnectionsWrite) {
		view.AddURL = connectionsPath
	}
	for i := range list {
		view.Connections = append(view.Connections, choice{Value: list[i].ID, Label: list[i].Name,
			Selected: list[i].ID == connection})
	}
	if connection != "" {
		if view.Plan, err = d.recordPlan(v, domain, connection); err != nil {
			text, problem := fieldError(err)
			e := controlplane.AsError(err)
			if text == "" && e.Kind == controlplane.KindUnavailable &&
				e.Code == controlplane.CodeHostUnreachable {
				text = strings.TrimSpace(e.Message + " " + fixFor(e))
			}
			if text == "" {
				return err
			}
			view.Error, status = text, problem
		}
	}
	return d.render(w, v, status, "domain_dns", layout{Title: "Create records of " + domain.Name,
		Section: "domains", Flash: d.takeFlash(w, v), Page: view})
}

// recordPlan looks up what the domain's names have at the DNS host.
func (d *Dashboard) recordPlan(
	v *visit, domain *controlplane.Domain, connection string,
) (*recordPlanView, error) {
	if !controlplane.IsID(controlplane.PrefixConnection, connection) {
		return nil, controlplane.NotFound("DNS connection", connection)
	}
	plan, err := d.lifecycle.PlanRecords(v.Context(), v.org.ID, connection,
		d.lifecycle.RecordsOf(domain))
	if err != nil {
		return nil, err
	}
	view := &recordPlanView{ID: plan.ID(), Connection: connection,
		Default: domain.ConnectionID == connection}
	for _, c := range plan.Changes {
		change := recordChange{Name: c.Name, Zone: c.Zone, After: c.After.Values[0]}
		for _, set := range c.Before {
			for _, value := range set.Values {
				change.Before = append(change.Before, set.Type+" "+value)
			}
		}
		switch c.Action {
		case controlplane.RecordNone:
			change.Pill = pill{"ok", "check", "Exists"}
		case controlplane.RecordCreate:
			change.Pill, view.Creates = pill{"info", "plus", "Is created"}, true
		default:
			change.Pill, view.Replaces = pill{"warn", "alert", "Other records"}, true
		}
		view.Changes = append(view.Changes, change)
	}
	for _, c := range plan.Conflicts {
		if c.Kind != controlplane.HostConflict {
			view.Manual = append(view.Manual, recordChange{Name: c.Name, Detail: c.Message,
				Pill: pill{"neutral", "dot", "Manual"}})
		}
	}
	return view, nil
}

// createRecords applies the plan that the page has shown, and makes the connection the domain's if
// that was chosen.
func (d *Dashboard) createRecords(w http.ResponseWriter, v *visit) error {
	domain, err := d.domain(v)
	if err != nil {
		return err
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	in := lifecycle.RecordsToApply{PlanID: v.PostForm.Get("plan")}
	connection := controlplane.PlanConnection(in.PlanID)
	if !controlplane.IsID(controlplane.PrefixConnection, connection) {
		return controlplane.NotFound("DNS connection", connection)
	}
	records := d.lifecycle.RecordsOf(domain)
	if v.PostForm.Get("replace") != "" {
		plan, err := d.lifecycle.PlanRecords(v.Context(), v.org.ID, connection, records)
		if err != nil {
			return d.dnsError(w, v, domain, connection, err)
		}
		for _, c := range plan.Changes { // of the plan that was shown, or nothing is applied
			if c.Action == controlplane.RecordReplace {
				in.Overwrite = append(in.Overwrite, c.Before...)
			}
		}
	}
	if _, _, err = d.lifecycle.ApplyRecords(v.Context(), d.actor(v), v.org.ID, in,
		records); err != nil {
		return d.dnsError(w, v, domain, connection, err)
	}
	if v.PostForm.Get("default") != "" {
		if _, err := d.lifecycle.UpdateDomain(v.Context(), d.actor(v), v.org.ID, domain.ID, 0,
			lifecycle.DomainPatch{ConnectionID: &connection}); err != nil {
			return err
		}
	}
	d.setFlash(w, "records-requested")
	http.Redirect(w, v.Request, domainURL(domain.ID), http.StatusSeeOther)
	return nil
}

// dnsError responds with the page for an error of the DNS host, or of a plan that is no longer
// right, with the plan as it is now.
func (d *Dashboard) dnsError(
	w http.ResponseWriter, v *visit, domain *controlplane.Domain, connection string, err error,
) error {
	text, status := fieldError(err)
	e := controlplane.AsError(err)
	switch {
	case e.Code == controlplane.CodeDNSChanged:
		text = "The DNS host has changed since this page was shown, so nothing was created. This " +
			"is what would change now."
	case text == "" && e.Code == controlplane.CodeHostUnreachable:
		text = strings.TrimSpace(e.Message + " " + fixFor(e))
	case text == "":
		return err
	}
	return d.showDomainDNS(w, v, status, domain, connection, text)
}

// leaveConnection removes the connection of a domain: no further records are created.
func (d *Dashboard) leaveConnection(w http.ResponseWriter, v *visit) error {
	domain, err := d.domain(v)
	if err != nil {
		return err
	}
	if _, err := d.lifecycle.UpdateDomain(v.Context(), d.actor(v), v.org.ID, domain.ID, 0,
		lifecycle.DomainPatch{ConnectionID: new(string)}); err != nil {
		return err
	}
	d.setFlash(w, "connection-left")
	http.Redirect(w, v.Request, domainURL(domain.ID), http.StatusSeeOther)
	return nil
}

// throughView is the offer of a domain's page to create its records.
type throughView struct {
	URL   string // of the page with the plan
	Leave string // URL of the form; empty if the domain has no connection
	Name  string // of the domain's connection
}

// throughView returns the offer, nil if the user may not use it. A domain whose connection was
// deleted has none.
func (d *Dashboard) throughView(v *visit, domain *controlplane.Domain) (*throughView, error) {
	if !v.may(controlplane.ScopeDomainsWrite) {
		return nil, nil //nolint:nilnil // no offer is not an error
	}
	view := &throughView{URL: domainURL(domain.ID) + "/dns"}
	if domain.ConnectionID == "" {
		return view, nil
	}
	c, err := d.store.Connection(v.Context(), v.org.ID, domain.ConnectionID)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return view, nil
	}
	if err != nil {
		return nil, err
	}
	view.Name, view.Leave = c.Name, view.URL+"/leave"
	view.URL += "?" + url.Values{"connection": {c.ID}}.Encode()
	return view, nil
}

// addChoices returns the ways to create the records of a new domain, nil without a connection.
func (d *Dashboard) addChoices(v *visit, chosen string) ([]choice, error) {
	list, _, err := d.store.ListConnections(v.Context(), v.org.ID, nil, connectionsPerPage)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	all := []choice{{Label: "I create them at my DNS host"}}
	for i := range list {
		all = append(all, choice{Value: list[i].ID, Selected: list[i].ID == chosen,
			Label: "Create them through " + list[i].Name})
	}
	return all, nil
}
