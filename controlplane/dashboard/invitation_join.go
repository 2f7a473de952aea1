package dashboard

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// leavingView is what templates/invitation_github.html shows.
type leavingView struct {
	Organization string
	Role         string
	GitHub       string // address there
}

// startGitHubJoin begins a sign-in by which somebody accepts an invitation. The state is bound
// to it in the cookie, which has the hash of its secret, and the secret goes no further than
// here. It is a POST, so that no other site's page makes anybody join.
//
// The way on is by Refresh: browsers hold a redirect after a form to form-action, and GitHub
// may send people on to a host of their company.
func (d *Dashboard) startGitHubJoin(w http.ResponseWriter, v *visit) error {
	if d.config.GitHub == nil {
		return signInNotConfigured()
	}
	if v.session != nil { // in another tab meanwhile
		return redirectToInvitation(w, v)
	}
	if err := d.countSignIn(v); err != nil {
		return err
	}
	invitation, err := d.invitation(v)
	if err != nil {
		return err
	}
	org, err := d.store.Organization(v.Context(), invitation.OrgID)
	if err != nil {
		return err
	}
	view := leavingView{Organization: org.Name, Role: string(invitation.Role), GitHub: d.startFlow(w, v, flow{Invitation: invitation.Hash})}
	w.Header().Set("Refresh", "0; url="+view.GitHub)
	return d.render(w, v, http.StatusOK, "invitation_github", layout{Title: "On to GitHub", Page: view})
}

// finishGitHubJoin ends such a sign-in, which came back for the account or with err: whoever came back is
// a member and signed in, or neither.
func (d *Dashboard) finishGitHubJoin(w http.ResponseWriter, v *visit, f flow, account controlplane.GitHubAccount, err error) error {
	if err != nil {
		// A mere sign-in would make an organization of their own.
		e := *controlplane.AsError(err)
		e.Fix = "Open the invitation’s link again."
		return &e
	}
	_, secret, joined, err := d.lifecycle.SignInToJoin(v.Context(), d.anonymousActor(v), v.UserAgent(), account, f.Invitation, v.replacedSessions()...)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return invitationGone()
	}
	if err != nil {
		return err
	}
	d.keepSession(w, secret)
	d.redirectAfterJoin(w, v, joined)
	return nil
}

// redirectAfterJoin leads to the organization that somebody was invited to.
func (d *Dashboard) redirectAfterJoin(w http.ResponseWriter, v *visit, joined bool) {
	flash := "member"
	if joined {
		flash = "joined"
	}
	d.setFlash(w, flash)
	http.Redirect(w, v.Request, "/domains", http.StatusSeeOther)
}

// redirectToInvitation leads back to the invitation's page.
func redirectToInvitation(w http.ResponseWriter, v *visit) error {
	http.Redirect(w, v.Request, controlplane.InvitationPath(mux.Vars(v.Request)["secret"]), http.StatusSeeOther)
	return nil
}
