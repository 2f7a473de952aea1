package dashboard

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// loginView is what templates/login.html shows.
type loginView struct {
	GitHub string // address that leads there; empty where there is none
	Dev    string // who comes in by one click; empty where nobody does
	Next   string // where to go afterwards
	Closed bool   // only members come in here, and who is invited by their link
}

func (d *Dashboard) loginPage(w http.ResponseWriter, v *visit) error {
	next := safeNext(v.URL.Query().Get("next"))
	if v.session != nil {
		http.Redirect(w, v.Request, next, http.StatusSeeOther)
		return nil
	}
	view := loginView{Next: next, Closed: d.lifecycle.InvitedOnly}
	if d.config.GitHub != nil {
		view.GitHub = "/login/github?" + url.Values{"next": {next}}.Encode()
	}
	if dev := d.config.DevSignIn; dev != nil {
		view.Dev = dev.Login
	}
	return d.render(w, v, http.StatusOK, "login", layout{Title: "Sign in", Page: view})
}

// devSignIn lets the developer in, from a page at an address of this machine: any site can have
// its own name resolve here (DNS rebinding), and would be signed in by that name.
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

// safeNext returns a path of this dashboard to go to: next, or the list of domains where next
// leads anywhere else.
func safeNext(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\t\r\n") {
		return "/domains"
	}
	return next
}
