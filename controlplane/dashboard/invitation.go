package dashboard

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// invitationView is the data for templates/invitation.html.
type invitationView struct {
	Organization    string
	Inviter         string // empty if unknown
	Role            string
	RoleDescription string // what the role permits
	URL             string // URL to accept it
	GitHub          string // URL to accept it by signing in; empty if GitHub is not configured
	Dev             string // login of the development sign-in; empty if disabled
	User            string // the signed-in user, or empty
	MemberRole      string // the user's role if they are already a member
	Switch          string // URL that switches a member to the organization
}

// roleDescriptions states what each role permits.
var roleDescriptions = map[controlplane.Role]string{
	controlplane.RoleOwner:  "Owners have full access, including members, the plan, and deleting the organization.",
	controlplane.RoleAdmin:  "Admins see everything and manage domains, API tokens, and webhooks.",
	controlplane.RoleMember: "Members have read-only access.",
}

// invitationPage shows an invitation. It changes nothing, so link previews do not use up the
// invitation.
func (d *Dashboard) invitationPage(w http.ResponseWriter, v *visit) error {
	invitation, err := d.invitation(v)
	if err != nil {
		return err
	}
	org, err := d.store.Organization(v.Context(), invitation.OrgID)
	if err != nil {
		return err
	}
	inviters, err := d.store.UserTitles(v.Context(), []string{invitation.CreatorUserID})
	if err != nil {
		return err
	}
	view := invitationView{Organization: org.Name, Inviter: inviters[invitation.CreatorUserID],
		Role: string(invitation.Role), RoleDescription: roleDescriptions[invitation.Role],
		URL: v.URL.Path}
	if v.session == nil {
		if d.config.GitHub != nil {
			view.GitHub = v.URL.Path + "/github"
		}
		if dev := d.config.DevSignIn; dev != nil {
			view.Dev = dev.Login
		}
	} else {
		view.User = v.session.User.Title()
		m, err := d.store.Member(v.Context(), org.ID, v.session.User.ID)
		switch {
		case err == nil:
			view.MemberRole, view.Switch = string(m.Role), switchURL(org.ID)
		case !controlplane.IsKind(err, controlplane.KindNotFound):
			return err
		}
	}
	return d.render(w, v, http.StatusOK, "invitation", layout{Title: "Invitation", Page: view})
}

// acceptInvitation makes the signed-in user a member. Without a session, it redirects to the
// invitation, which offers to sign in.
func (d *Dashboard) acceptInvitation(w http.ResponseWriter, v *visit) error {
	if v.session == nil {
		v.unstored = true // nothing was executed
		return redirectToInvitation(w, v)
	}
	_, joined, err := d.lifecycle.AcceptInvitation(v.Context(), d.actor(v), v.session,
		mux.Vars(v.Request)["secret"])
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return invitationGone()
	}
	if err != nil {
		return err
	}
	d.redirectAfterJoin(w, v, joined)
	return nil
}

// invitation returns the open invitation in the URL.
func (d *Dashboard) invitation(v *visit) (*controlplane.Invitation, error) {
	secret := mux.Vars(v.Request)["secret"]
	if !controlplane.IsRandomSecret(secret) {
		return nil, invitationGone()
	}
	hash := controlplane.HashSecret(secret)
	attempt, err := d.limiter.Try(v.Context(), hash, d.clientIP(v.Request))
	if err != nil {
		return nil, err
	}
	i, err := d.store.InvitationByHash(v.Context(), hash, v.now)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		attempt.Failed(v.Context())
		return nil, invitationGone()
	}
	attempt.Unknown(v.Context())
	return i, err
}

func invitationGone() error {
	return &controlplane.Error{Kind: controlplane.KindNotFound, Code: "invitation-gone",
		Message: "This invitation is no longer valid: it was used, was revoked, or has expired.",
		Fix:     "Ask the person who invited you for a new invitation."}
}
