package dashboard

import (
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// invitedPath is the page where people accept or decline invitations by login.
const invitedPath = "/invitations"

// invitedView is what templates/member_invited.html shows.
type invitedView struct {
	User  string
	Guest bool // nobody is signed in: the person belongs to no organization yet
	Rows  []invitedRow
}

// invitedRow is one invitation by login.
type invitedRow struct {
	Organization     string
	ID               string // of the organization: two can have one name
	Role             string
	RoleDescription  string // what the role permits
	Inviter          string // empty if unknown
	Created, Expires moment
	URL              string // below it, accept and decline
}

// invitedPage lists the invitations by login that a person can accept.
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
		view.Rows = append(view.Rows, invitedRow{Organization: all[i].Organization, ID: m.OrgID, Role: string(m.Role), RoleDescription: roleDescriptions[m.Role], Inviter: all[i].Inviter.Title(),
			Created: v.at(m.Since), Expires: v.maybeAt(m.ExpiresAt), URL: invitedPath + "/" + m.OrgID})
	}
	return d.render(w, v, http.StatusOK, "member_invited", layout{Title: "Invitations", Flash: d.takeFlash(w, v), Page: view})
}

// acceptInvited makes a person a member of an organization that they are invited to by login,
// and takes them there.
func (d *Dashboard) acceptInvited(w http.ResponseWriter, v *visit) error {
	user, guest := d.invitee(v)
	if user == "" {
		return redirectToLogin(w, v)
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	org, role := mux.Vars(v.Request)["organization"], controlplane.Role(v.PostForm.Get("role"))
	if guest {
		_, secret, err := d.lifecycle.AcceptAsGuest(v.Context(), d.anonymousActor(v), v.UserAgent(), user, org, role)
		if err != nil {
			return invitedGone(err)
		}
		d.setCookie(w, d.guestCookie(), "", -1)
		d.keepSession(w, secret)
	} else if err := d.lifecycle.AcceptMembership(v.Context(), d.actor(v), v.session, org, role); err != nil {
		return invitedGone(err)
	}
	d.redirectAfterJoin(w, v, true)
	return nil
}

// declineInvited declines an invitation by login.
func (d *Dashboard) declineInvited(w http.ResponseWriter, v *visit) error {
	user, _ := d.invitee(v)
	if user == "" {
		return redirectToLogin(w, v)
	}
	if err := d.lifecycle.DeclineMembership(v.Context(), d.anonymousActor(v), user, mux.Vars(v.Request)["organization"]); err != nil {
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

// invitee returns the ID of the user who decides about invitations by login, empty if there is
// none: the signed-in user, or a guest.
func (d *Dashboard) invitee(v *visit) (userID string, guest bool) {
	if v.session != nil {
		return v.session.User.ID, false
	}
	var g guestPass
	c, err := v.Cookie(d.guestCookie())
	if err != nil || !verifyCookie(d.guestKey, c.Value, &g) || v.now.Unix() >= g.Expires {
		return "", false
	}
	return g.User, true
}

// guestLife is how long a guest can take to decide.
const guestLife = 30 * time.Minute

// guestPass lets a person who belongs to no organization see their invitations by login, and
// nothing else. It is a signed cookie: they have no session before they accept.
type guestPass struct {
	User    string `json:"u"`
	Expires int64  `json:"e"` // Unix seconds
}

func (d *Dashboard) guestCookie() string {
	if d.config.Secure {
		return "__Host-dcvaas_guest"
	}
	return "dcvaas_guest"
}

// admitGuest shows somebody who cannot sign in the invitations that they can accept; without
// any it returns refused.
func (d *Dashboard) admitGuest(w http.ResponseWriter, v *visit, account controlplane.GitHubAccount, refused error) error {
	user, err := d.lifecycle.Guest(v.Context(), account)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return refused
	}
	if err != nil {
		return err
	}
	pass := guestPass{User: user.ID, Expires: v.now.Add(guestLife).Unix()}
	d.setCookie(w, d.guestCookie(), signCookie(d.guestKey, pass), int(guestLife/time.Second))
	http.Redirect(w, v.Request, invitedPath, http.StatusSeeOther)
	return nil
}

// signInTarget returns where a person goes after they signed in: to the page that they wanted or,
// if that is none in particular, to their invitations if there are any.
func (d *Dashboard) signInTarget(v *visit, s *controlplane.Session, next string) (string, error) {
	next = safeNext(next)
	if u, err := url.Parse(next); err != nil || u.Path != "/domains" {
		return next, nil
	}
	open, err := d.store.InvitedTo(v.Context(), s.User.ID, v.now)
	if err == nil && len(open) > 0 {
		next = invitedPath
	}
	return next, err
}
