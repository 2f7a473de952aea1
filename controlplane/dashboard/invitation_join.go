package dashboard

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// invitationGitHubView is the data for templates/invitation_github.html.
type invitationGitHubView struct {
	Organization string
	Role         string
	GitHub       string // authorization URL
}

// startGitHubJoin starts a sign-in that accepts an invitation. The flow cookie binds the state to
// the hash of the invitation's secret; the secret is not sent to GitHub. It is a POST, so that
// other sites cannot make a visitor join.
//
// It continues with a Refresh header instead of a redirect: browsers apply the CSP's form-action
// to redirects after a form, and GitHub may redirect to a company's identity provider.
func (d *Dashboard) startGitHubJoin(w http.ResponseWriter, v *visit) error {
	if d.config.GitHub == nil {
		return signInNotConfigured()
	}
	if v.session != nil { // signed in in another tab
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
	view := invitationGitHubView{Organization: org.Name, Role: string(invitation.Role),
		GitHub: d.startFlow(w, v, flow{Invitation: invitation.Hash})}
	w.Header().Set("Refresh", "0; url="+view.GitHub)
	return d.render(w, v, http.StatusOK, "invitation_github", layout{Title: "Continue to GitHub",
		Page: view})
}

// finishGitHubJoin finishes a sign-in that accepts an invitation, with the account or the error
// from GitHub. The user becomes a member and is signed in, or neither.
func (d *Dashboard) finishGitHubJoin(
	w http.ResponseWriter, v *visit, f flow, account controlplane.GitHubAccount, err error,
) error {
	if err != nil {
		// Only signing in would create a new organization.
		e := *controlplane.AsError(err)
		e.Fix = "Open the invitation’s link again."
		return &e
	}
	_, secret, joined, err := d.lifecycle.SignInToJoin(v.Context(), d.anonymousActor(v),
		v.UserAgent(), account, f.Invitation, v.replacedSessions()...)
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

// redirectAfterJoin redirects to the organization that the user joined.
func (d *Dashboard) redirectAfterJoin(w http.ResponseWriter, v *visit, joined bool) {
	flash := "member"
	if joined {
		flash = "joined"
	}
	d.setFlash(w, flash)
	http.Redirect(w, v.Request, "/domains", http.StatusSeeOther)
}

// redirectToInvitation redirects to the invitation in the URL.
func redirectToInvitation(w http.ResponseWriter, v *visit) error {
	http.Redirect(w, v.Request, controlplane.InvitationPath(mux.Vars(v.Request)["secret"]),
		http.StatusSeeOther)
	return nil
}
