package dashboard

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// organizationView is the data for templates/organization.html.
type organizationView struct {
	Organization string
	Facts        []fact
	Usage        []fact
	Owner        bool // the user is an owner
	LastOwner    bool // the user is the only owner
	Elsewhere    bool // the user also belongs to another organization
	Domains      int
	Tokens       []memberToken // tokens that leaving revokes
	Form         organizationForm
}

// organizationForm has the input and errors of the page's forms.
type organizationForm struct {
	Name, NameError string
	Version         string // of the name
	ConfirmError    string // the typed confirmation is not filled in again
	LeaveError      string
}

func redirectToSettings(w http.ResponseWriter, v *visit) error {
	http.Redirect(w, v.Request, "/settings/organization", http.StatusSeeOther)
	return nil
}

func (d *Dashboard) organizationPage(w http.ResponseWriter, v *visit) error {
	return d.showOrganization(w, v, http.StatusOK, organizationForm{Name: v.org.Name})
}

// showOrganization responds with the page and its forms.
func (d *Dashboard) showOrganization(
	w http.ResponseWriter, v *visit, status int, form organizationForm,
) error {
	n, err := d.store.Counts(v.Context(), v.org, v.now)
	if err != nil {
		return err
	}
	last, err := d.isLastOwner(v, v.session.Role)
	if err != nil {
		return err
	}
	other, err := d.otherOrganization(v)
	if err != nil {
		return err
	}
	o := v.org
	view := organizationView{Organization: o.Name,
		Owner: v.may(controlplane.ScopeOrganizationWrite), LastOwner: last, Elsewhere: other != nil,
		Domains: o.Domains, Form: form,
		Facts: []fact{{Name: "Name", Value: o.Name},
			{Name: "ID", Value: o.ID, Mono: true, Copy: true},
			{Name: "Your role", Value: string(v.session.Role)},
			{Name: "Created", Value: v.at(o.CreatedAt).Date}},
		Usage: usage(o, n)}
	if view.Tokens, err = d.memberTokens(v, v.session.User.ID); err != nil {
		return err
	}
	view.Form.Version = cmp.Or(form.Version, versionOf(o.Name))
	if view.Owner {
		view.Facts = view.Facts[1:] // the form shows the name
	}
	return d.render(w, v, status, "organization",
		layout{Title: "Organization", Section: "settings", Tab: "organization",
			Flash: d.takeFlash(w, v), Page: view})
}

// isLastOwner reports whether a member with this role is the only owner of the visit's
// organization.
func (d *Dashboard) isLastOwner(v *visit, role controlplane.Role) (bool, error) {
	if role != controlplane.RoleOwner {
		return false, nil
	}
	n, err := d.store.Owners(v.Context(), v.org.ID)
	return n <= 1, err
}

// usage returns an organization's usage and the limits of its plan.
func usage(o *controlplane.Organization, n controlplane.Counts) []fact {
	of := func(used, limit int) string { return fmt.Sprintf("%d of %d", used, limit) }
	calls := o.Tier.RateLimit()
	return []fact{
		{Name: "Plan", Value: plain(string(o.Tier))},
		{Name: "Domains", Value: of(o.Domains, o.MaxDomains())},
		{Name: "Delegations", Value: of(o.Delegations, o.MaxDelegations())},
		{Name: "Webhooks", Value: of(n.Webhooks, o.Tier.Webhooks())},
		{Name: "API calls", Value: fmt.Sprintf("%d per %d s", calls.Calls,
			calls.Window/time.Second)},
		{Name: "Audit log", Value: "Kept for " + longSpan(o.Tier.LogKept())},
		{Name: "Certificates", Value: fmt.Sprintf("%d issued in the last 30 days", n.Certificates)},
		{Name: "Members", Value: fmt.Sprint(n.Members)},
		{Name: "API tokens", Value: fmt.Sprint(n.Tokens)},
	}
}

// longSpan returns a duration in days, or in years if it is a whole number of years.
func longSpan(d time.Duration) string {
	n, unit := int(d/(24*time.Hour)), "day"
	if n%365 == 0 {
		n, unit = n/365, "year"
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s", n, unit)
}

// renameOrganization changes the organization's name.
func (d *Dashboard) renameOrganization(w http.ResponseWriter, v *visit) error {
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	form := organizationForm{Name: v.PostForm.Get("name"), Version: v.PostForm.Get(versionField)}
	var o *controlplane.Organization
	err := d.store.InTx(v.Context(), func(t *postgres.Tx) (err error) {
		o, err = t.LockOrganization(v.Context(), v.org.ID)
		return err
	})
	if err != nil {
		return err
	}
	e := edit{Object: o.Name, EntityID: o.ID, URL: organizationPath, Section: "settings",
		Tab: "organization", Current: versionOf(o.Name),
		Fields: []editField{{"Name", strings.TrimSpace(form.Name), o.Name}}}
	if e.stale(v) {
		return d.showConflict(w, v, &e)
	}
	if _, err := d.lifecycle.RenameOrganization(v.Context(), d.actor(v), v.org.ID,
		form.Name); err != nil {
		words, status := fieldError(err)
		if words == "" {
			return err
		}
		form.NameError = controlplane.AsError(err).Message // the fix is written for API clients
		return d.showOrganization(w, v, status, form)
	}
	d.setFlash(w, "renamed")
	return redirectToSettings(w, v)
}
