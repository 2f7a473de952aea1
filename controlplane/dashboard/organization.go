package dashboard

import (
	"fmt"
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// issuedWindow is how far back certificates are counted.
const issuedWindow = 30 * 24 * time.Hour

// organizationView is what templates/organization.html shows.
type organizationView struct {
	Organization string
	Facts        []fact
	Usage        []fact
	Owner        bool // who looks is one
	LastOwner    bool // and the only one
	Elsewhere    bool // who looks belongs to another organization, too
	Domains      int
	Tokens       []memberToken // those that leaving revokes
	Form         organizationForm
}

// organizationForm are the page's forms, with what was typed and what is wrong with it.
type organizationForm struct {
	Name, NameError string
	ConfirmError    string // a name typed to confirm is not typed again for anybody
	LeaveError      string
}

func redirectToSettings(w http.ResponseWriter, v *visit) error {
	http.Redirect(w, v.Request, "/settings/organization", http.StatusSeeOther)
	return nil
}

func (d *Dashboard) organizationPage(w http.ResponseWriter, v *visit) error {
	return d.showOrganization(w, v, http.StatusOK, organizationForm{Name: v.org.Name})
}

// showOrganization answers with the page, its forms as they stand.
func (d *Dashboard) showOrganization(w http.ResponseWriter, v *visit, status int, form organizationForm) error {
	n, err := d.store.Counts(v.Context(), v.org.ID, v.now.Add(-issuedWindow))
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
	view := organizationView{Organization: o.Name, Owner: v.may(controlplane.ScopeOrganizationWrite), LastOwner: last, Elsewhere: other != nil, Domains: o.Domains, Form: form,
		Facts: []fact{{Name: "Name", Value: o.Name}, {Name: "Id", Value: o.ID, Mono: true, Copy: true}, {Name: "Your role", Value: string(v.session.Role)},
			{Name: "Created", Value: v.at(o.CreatedAt).Date}},
		Usage: usage(o, n)}
	if view.Tokens, err = d.memberTokens(v, v.session.User.ID); err != nil {
		return err
	}
	if view.Owner {
		view.Facts = view.Facts[1:] // the name is in the form
	}
	return d.render(w, v, status, "organization", layout{Title: "Organization", Section: "settings", Tab: "organization", Flash: d.takeFlash(w, v), Page: view})
}

// isLastOwner reports whether a member of the visit's organization with this role is its only
// owner.
func (d *Dashboard) isLastOwner(v *visit, role controlplane.Role) (bool, error) {
	if role != controlplane.RoleOwner {
		return false, nil
	}
	n, err := d.store.Owners(v.Context(), v.org.ID)
	return n <= 1, err
}

// usage is what an organization has of what its plan includes.
func usage(o *controlplane.Organization, n controlplane.Counts) []fact {
	of := func(used, limit int) string { return fmt.Sprintf("%d of %d", used, limit) }
	calls := o.Tier.RateLimit()
	return []fact{
		{Name: "Plan", Value: plain(string(o.Tier))},
		{Name: "Domains", Value: of(o.Domains, o.MaxDomains())},
		{Name: "Webhooks", Value: of(n.Webhooks, o.Tier.Webhooks())},
		{Name: "API calls", Value: fmt.Sprintf("%d in %d s", calls.Calls, calls.Window/time.Second)},
		{Name: "Audit log", Value: "Kept for " + longSpan(o.Tier.LogKept())},
		{Name: "Certificates", Value: fmt.Sprintf("%d issued in the last 30 days", n.Certificates)},
		{Name: "Members", Value: fmt.Sprint(n.Members)},
		{Name: "API tokens", Value: fmt.Sprint(n.Tokens)},
	}
}

// longSpan returns a time of whole days, in years where it is that.
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

// renameOrganization changes the name.
func (d *Dashboard) renameOrganization(w http.ResponseWriter, v *visit) error {
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	form := organizationForm{Name: v.PostForm.Get("name")}
	if _, err := d.lifecycle.RenameOrganization(v.Context(), d.actor(v), v.org.ID, form.Name); err != nil {
		words, status := fieldError(err)
		if words == "" {
			return err
		}
		form.NameError = controlplane.AsError(err).Message // the fix is told in the API's terms
		return d.showOrganization(w, v, status, form)
	}
	d.setFlash(w, "renamed")
	return redirectToSettings(w, v)
}

// fieldError returns what a form says of an error beside its field, and the answer's status; no
// words where there is no error, or one with a page of its own.
func fieldError(err error) (string, int) {
	e := controlplane.AsError(err)
	status, _ := statusOf(e)
	if e.Kind != controlplane.KindInvalid && e.Kind != controlplane.KindConflict {
		return "", status
	}
	return trim(e.Message + " " + fixFor(e)), status
}
