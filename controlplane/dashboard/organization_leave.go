package dashboard

import (
	"errors"
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// farewellView is what templates/organization_left.html shows.
type farewellView struct {
	Closed bool // only members come in here, and who is invited by their link
}

// leaveOrganization ends the membership of whoever is signed in.
func (d *Dashboard) leaveOrganization(w http.ResponseWriter, v *visit) error {
	form := organizationForm{Name: v.org.Name}
	last, err := d.isLastOwner(v, v.session.Role)
	if err != nil {
		return err
	}
	if last { // known before the session moves on; lifecycle has the last word
		form.LeaveError = "Nothing was changed."
		return d.showOrganization(w, v, http.StatusConflict, form)
	}
	err = d.endMembership(w, v, "left", func() error {
		return d.lifecycle.RemoveMember(v.Context(), d.actor(v), nil, v.org.ID, v.session.User.ID, false)
	})
	if words, status := fieldError(err); words != "" {
		form.LeaveError = words
		return d.showOrganization(w, v, status, form)
	}
	return err
}

// deleteOrganization removes the organization, whose name was typed.
func (d *Dashboard) deleteOrganization(w http.ResponseWriter, v *visit) error {
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	confirm := trim(v.PostForm.Get("confirm"))
	if confirm != v.org.Name {
		return d.showOrganization(w, v, http.StatusUnprocessableEntity, organizationForm{Name: v.org.Name,
			ConfirmError: "That is not the organization’s name, so nothing was deleted. Type it as it is written."})
	}
	return d.endMembership(w, v, "deleted", func() error {
		return d.lifecycle.DeleteOrganization(v.Context(), d.actor(v), v.org.ID, confirm)
	})
}

// endMembership does what ends the session's place in its organization. The session goes on in another
// organization of its user's; where there is none it ends, and a page says so.
func (d *Dashboard) endMembership(w http.ResponseWriter, v *visit, flash string, do func() error) error {
	other, err := d.otherOrganization(v)
	if err != nil {
		return err
	}
	to := "/domains"
	if other == nil {
		to = farewellPath
	} else if err := d.lifecycle.SwitchOrganization(v.Context(), d.actor(v), v.session, other.ID); err != nil {
		return err
	}
	if err := do(); err != nil {
		if other != nil {
			moved := *v.session
			moved.OrgID = other.ID
			err = errors.Join(err, d.lifecycle.SwitchOrganization(v.Context(), d.actor(v), &moved, v.org.ID))
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

// otherOrganization returns another organization of whoever is signed in, nil where there is none.
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

// farewellPage is for those whose last membership has ended.
func (d *Dashboard) farewellPage(w http.ResponseWriter, v *visit) error {
	if v.session != nil {
		return redirectToDomains(w, v)
	}
	return d.render(w, v, http.StatusOK, "organization_left", layout{Title: "Goodbye", Flash: d.takeFlash(w, v), Page: farewellView{Closed: d.lifecycle.InvitedOnly}})
}
