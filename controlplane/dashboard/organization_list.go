package dashboard

import (
	"net/http"

	"github.com/gorilla/mux"
)

// organizationListView is the data for templates/organization_list.html.
type organizationListView struct {
	Rows      []organizationRow
	MayCreate bool
	Name      string // of the organization to create
	Error     string
}

// organizationRow is an organization of the signed-in user.
type organizationRow struct {
	Name, Role, Tier string
	Switch           string // URL
	Current          bool
}

// organizationsPage lists the organizations of the signed-in user.
func (d *Dashboard) organizationsPage(w http.ResponseWriter, v *visit) error {
	return d.showOrganizations(w, v, http.StatusOK, organizationListView{})
}

func (d *Dashboard) showOrganizations(
	w http.ResponseWriter, v *visit, status int, view organizationListView,
) error {
	all, err := d.store.Memberships(v.Context(), v.session.User.ID)
	if err != nil {
		return err
	}
	view.MayCreate = !d.lifecycle.InvitedOnly
	for _, m := range all {
		o := m.Organization
		view.Rows = append(view.Rows, organizationRow{Name: o.Name, Role: string(m.Role),
			Tier: string(o.Tier), Switch: switchURL(o.ID), Current: o.ID == v.org.ID})
	}
	return d.render(w, v, status, "organization_list", layout{Title: "Your organizations",
		Page: view})
}

// switchOrganization switches the session to another organization and redirects to the page that
// the form names, or to the list of domains.
func (d *Dashboard) switchOrganization(w http.ResponseWriter, v *visit) error {
	if err := d.lifecycle.SwitchOrganization(v.Context(), d.actor(v), v.session,
		mux.Vars(v.Request)["organization"]); err != nil {
		return err
	}
	d.setFlash(w, "switched")
	http.Redirect(w, v.Request, safeNext(v.PostFormValue("next")), http.StatusSeeOther)
	return nil
}

func switchURL(orgID string) string { return "/organizations/" + orgID + "/switch" }
