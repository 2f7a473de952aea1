package dashboard

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// invitationView is what templates/invitation.html shows.
type invitationView struct {
	Organization    string
	Inviter         string // empty if unknown
	Role            string
	RoleDescription string // what the role permits
	URL             string // where it is accepted
	GitHub          string // where it is accepted by signing in; empty where that is not possible
	Dev             string // who comes in by one click; empty where nobody does
	User            string // who is signed in; empty where nobody is
	MemberRole      string // role of who is a member already
	Switch          string // address that leads a member to the organization
}

// roleDescriptions say what each role is for.
var roleDescriptions = map[controlplane.Role]string{
	controlplane.RoleOwner:  "An owner may do everything, also decide about members, the plan and the end of the organization.",
	controlplane.RoleAdmin:  "An admin sees everything, and changes domains, API tokens and webhooks.",
	controlplane.RoleMember: "A member sees everything, and changes nothing.",
}

// invitationPage shows what somebody is invited to. It changes nothing: what fetches links by
// itself uses none up.
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
	view := invitationView{Organization: org.Name, Inviter: inviters[invitation.CreatorUserID], Role: string(invitation.Role), RoleDescription: roleDescriptions[invitation.Role], URL: v.URL.Path}
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

// acceptInvitation makes whoever is signed in a member. Whose session has ended sees the page
// again, and how to sign in.
func (d *Dashboard) acceptInvitation(w http.ResponseWriter, v *visit) error {
	if v.session == nil {
		return redirectToInvitation(w, v)
	}
	_, joined, err := d.lifecycle.AcceptInvitation(v.Context(), d.actor(v), v.session, mux.Vars(v.Request)["secret"])
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return invitationGone()
	}
	if err != nil {
		return err
	}
	d.redirectAfterJoin(w, v, joined)
	return nil
}

// invitation returns the open invitation that the address names.
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
		Message: "This invitation is no longer open: it was used, revoked, or has expired.", Fix: "Ask the person who sent it for a new one."}
}
