package dashboard

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// invitedPath is the page where users accept or decline invitations by login.
const invitedPath = "/invitations"

// invitedView is the data for templates/member_invited.html.
type invitedView struct {
	User  string
	Guest bool // not signed in: the user belongs to no organization yet
	Rows  []invitedRow
}

// invitedRow is one invitation by login.
type invitedRow struct {
	Organization     string
	ID               string // of the organization; names are not unique
	Role             string
	RoleDescription  string // what the role permits
	Inviter          string // empty if unknown
	Created, Expires moment
	URL              string // prefix of the accept and decline URLs
}

// invitedPage lists the invitations by login that a user can accept.
func (d *Dashboard) invitedPage(w http.ResponseWriter, v *visit) error {
	user, guest := d.invitee(v)
	if user == "" {
		return redirectToLogin(w, v)
	}
	all, err := d.store.InvitedTo(v.Context(), user, v.now)
	if err != nil {
		return err
	}
	view := invitedView{Guest: guest}
	if !guest {
		view.User = v.session.User.Title()
	}
	for i := range all {
		m := &all[i].Member
		view.Rows = append(view.Rows, invitedRow{Organization: all[i].Organization, ID: m.OrgID,
			Role: string(m.Role), RoleDescription: roleDescriptions[m.Role],
			Inviter: all[i].Inviter.Title(),
			Created: v.at(m.Since), Expires: v.maybeAt(m.ExpiresAt), URL: invitedPath + "/" +
				m.OrgID})
	}
	return d.render(w, v, http.StatusOK,
		"member_invited", layout{Title: "Invitations", Flash: d.takeFlash(w, v), Page: view})
}

// acceptInvited makes a user a member of the organization that invited them by login and switches
// to it.
func (d *Dashboard) acceptInvited(w http.ResponseWriter, v *visit) error {
	user, guest := d.invitee(v)
	if user == "" {
		return errSignedOut
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	org, role := mux.Vars(v.Request)["organization"], controlplane.Role(v.PostForm.Get("role"))
	if guest {
		_, secret, err := d.lifecycle.AcceptAsGuest(v.Context(), d.anonymousActor(v), v.UserAgent(),
			user, org, role)
		if err != nil {
			return invitedGone(err)
		}
		d.setCookie(w, d.guestCookie(), "", -1)
		d.keepSession(w, secret)
	} else if err := d.lifecycle.AcceptMembership(v.Context(), d.actor(v), v.session, org,
		role); err != nil {
		return invitedGone(err)
	}
	d.redirectAfterJoin(w, v, true)
	return nil
}

// declineInvited declines an invitation by login.
func (d *Dashboard) declineInvited(w http.ResponseWriter, v *visit) error {
	user, _ := d.invitee(v)
	if user == "" {
		return errSignedOut
	}
	if err := d.lifecycle.DeclineMembership(v.Context(), d.anonymousActor(v), user,
		mux.Vars(v.Request)["organization"]); err != nil {
		return invitedGone(err)
	}
	d.setFlash(w, "declined")
	http.Redirect(w, v.Request, invitedPath, http.StatusSeeOther)
	return nil
}

func invitedGone(err error) error {
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return invitationGone()
	}
	return err
}
