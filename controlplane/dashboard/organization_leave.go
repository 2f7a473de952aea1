package dashboard

import (
	"errors"
	"net/http"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// organizationLeftView is the data for templates/organization_left.html.
type organizationLeftView struct {
	Closed bool // only members and invited users can sign in
}

// leaveOrganization ends the membership of the signed-in user.
func (d *Dashboard) leaveOrganization(w http.ResponseWriter, v *visit) error {
	form := organizationForm{Name: v.org.Name}
	last, err := d.isLastOwner(v, v.session.Role)
	if err != nil {
		return err
	}
	if last { // checked before the session switches; lifecycle checks it again
		form.LeaveError = "Nothing was changed."
		return d.showOrganization(w, v, http.StatusConflict, form)
	}
	err = d.endMembership(w, v, "left", func() error {
		return d.lifecycle.RemoveMember(v.Context(), d.actor(v), nil, v.org.ID, v.session.User.ID,
			false)
	})
	if words, status := fieldError(err); words != "" {
		form.LeaveError = words
		return d.showOrganization(w, v, status, form)
	}
	return err
}

// deleteOrganization deletes the organization after its name was typed as confirmation.
func (d *Dashboard) deleteOrganization(w http.ResponseWriter, v *visit) error {
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	confirm := strings.TrimSpace(v.PostForm.Get("confirm"))
	if confirm != v.org.Name {
		return d.showOrganization(w, v, http.StatusUnprocessableEntity,
			organizationForm{Name: v.org.Name,
				ConfirmError: "The name does not match. Nothing was deleted. Type the organization’s name exactly."})
	}
	return d.endMembership(w, v, "deleted", func() error {
		return d.lifecycle.DeleteOrganization(v.Context(), d.actor(v), v.org.ID, confirm)
	})
}

// endMembership calls do, which ends the user's membership in the session's organization. The
// session first switches to another organization of the user. Without another one, the session
// ends, and a page explains that.
func (d *Dashboard) endMembership(
	w http.ResponseWriter, v *visit, flash string, do func() error,
) error {
	other, err := d.otherOrganization(v)
	if err != nil {
		return err
	}
	to := "/domains"
	if other == nil {
		to = farewellPath
	} else if err := d.lifecycle.SwitchOrganization(v.Context(), d.actor(v), v.session,
		other.ID); err != nil {
		return err
	}
	if err := do(); err != nil {
		if other != nil {
			moved := *v.session
			moved.OrgID = other.ID
			err = errors.Join(err, d.lifecycle.SwitchOrganization(v.Context(), d.actor(v), &moved,
				v.org.ID))
		}
		return err
	}
	if other == nil {
		d.forgetSession(w)
	}
	d.setFlash(w, flash)
	http.Redirect(w, v.Request, to, http.StatusSeeOther)
	return nil
}

// otherOrganization returns another organization of the signed-in user, or nil.
func (d *Dashboard) otherOrganization(v *visit) (*controlplane.Organization, error) {
	all, err := d.store.Memberships(v.Context(), v.session.User.ID)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if o := &all[i].Organization; o.ID != v.org.ID {
			return o, nil
		}
	}
	return nil, nil
}

const farewellPath = "/farewell"

// farewellPage is for users whose last membership ended.
func (d *Dashboard) farewellPage(w http.ResponseWriter, v *visit) error {
	if v.session != nil {
		return redirectToDomains(w, v)
	}
	return d.render(w, v, http.StatusOK,
		"organization_left", layout{Title: "Signed out", Flash: d.takeFlash(w, v),
			Page: organizationLeftView{Closed: d.lifecycle.InvitedOnly}})
}
