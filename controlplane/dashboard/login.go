package dashboard

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// loginView is the data for templates/login.html.
type loginView struct {
	GitHub string // URL that starts the sign-in; empty if GitHub is not configured
	Dev    string // login of the development sign-in; empty if disabled
	Next   string // path to redirect to after the sign-in
	Kept   bool   // the input of a form is kept until the sign-in
	Closed bool   // only members and invited users can sign in
}

// signInAgain returns the URL of the login page for a user who is signed in, and whose session is
// replaced by a new one.
func signInAgain(next string) string {
	return "/login?" + url.Values{"next": {next}, "again": {"1"}}.Encode()
}

func (d *Dashboard) loginPage(w http.ResponseWriter, v *visit) error {
	next := safeNext(v.URL.Query().Get("next"))
	if v.session != nil && !v.URL.Query().Has("again") {
		http.Redirect(w, v.Request, next, http.StatusSeeOther)
		return nil
	}
	view := loginView{Next: next, Closed: d.lifecycle.InvitedOnly,
		Kept: strings.Contains(next, inputParam+"=")}
	if d.config.GitHub != nil {
		view.GitHub = "/login/github?" + url.Values{"next": {next}}.Encode()
	}
	if dev := d.config.DevSignIn; dev != nil {
		view.Dev = dev.Login
	}
	return d.render(w, v, http.StatusOK, "login", layout{Title: "Sign in", Page: view})
}

// devSignIn signs the developer in. It accepts only the hosts of this machine, because any site
// can make its name resolve to this machine (DNS rebinding).
func (d *Dashboard) devSignIn(w http.ResponseWriter, v *visit) error {
	dev := d.config.DevSignIn
	if dev == nil {
		return signInNotConfigured()
	}
	if !edge.HostIs(v.Request, d.devHosts, false) {
		return hostNotAllowed()
	}
	if err := d.countSignIn(v); err != nil {
		return err
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	return d.startSession(w, v, *dev, v.PostForm.Get("next"))
}

// countSignIn counts a step of a sign-in, before anything is stored for it or sent to GitHub.
func (d *Dashboard) countSignIn(v *visit) error {
	return d.limiter.CountSignIn(v.Context(), d.clientIP(v.Request))
}

func (d *Dashboard) signOut(w http.ResponseWriter, v *visit) error {
	if v.session != nil {
		if err := d.lifecycle.SignOut(v.Context(), d.actor(v), v.session); err != nil {
			return err
		}
	}
	d.forgetSession(w)
	http.Redirect(w, v.Request, "/login", http.StatusSeeOther)
	return nil
}

// safeNext returns next if it is a path of this dashboard, or the path of the domain list.
func safeNext(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil ||
		!strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\t\r\n") {
		return "/domains"
	}
	return next
}

// signInTarget returns the path to redirect to after a sign-in: the requested page, or the user's
// invitations if there are any and no particular page was requested.
func (d *Dashboard) signInTarget(v *visit, s *controlplane.Session, next string) (string, error) {
	next = safeNext(next)
	if next != "/domains" {
		return next, nil
	}
	open, err := d.store.InvitedTo(v.Context(), s.User.ID, v.now)
	if err == nil && len(open) > 0 {
		next = invitedPath
	}
	return next, err
}
