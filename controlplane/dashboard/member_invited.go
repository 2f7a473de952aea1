package dashboard

import (
	"net/http"
	"net/url"
	"time"

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
		view.Rows = append(view.Rows, invitedRow{Organization: all[i].Organization, ID: m.OrgID, Role: string(m.Role), RoleDescription: roleDescriptions[m.Role], Inviter: all[i].Inviter.Title(),
			Created: v.at(m.Since), Expires: v.maybeAt(m.ExpiresAt), URL: invitedPath + "/" + m.OrgID})
	}
	return d.render(w, v, http.StatusOK, "member_invited", layout{Title: "Invitations", Flash: d.takeFlash(w, v), Page: view})
}

// acceptInvited makes a user a member of the organization that invited them by login and switches
// to it.
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

// invitee returns the ID of the user who can accept invitations by login: the signed-in user or a
// guest. It returns "" if there is neither.
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

// guestLife is the lifetime of a guestPass.
const guestLife = 30 * time.Minute

// guestPass lets a user who belongs to no organization see only their invitations by login. It is
// a signed cookie: they have no session before they accept.
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

// admitGuest redirects a user who cannot sign in to the invitations that they can accept. Without
// any, it returns refused.
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

// signInTarget returns the path to redirect to after a sign-in: the requested page, or the user's
// invitations if there are any and no particular page was requested.
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
