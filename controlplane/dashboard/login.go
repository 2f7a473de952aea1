package dashboard

import (
	"net/http"
	"net/url"
	"strings"
)

// loginView is what templates/login.html shows.
type loginView struct {
	Dev  bool
	User string
	Next string // where to go afterwards
}

func (d *Dashboard) loginPage(w http.ResponseWriter, v *visit) error {
	next := safeNext(v.URL.Query().Get("next"))
	if v.session != nil {
		http.Redirect(w, v.Request, next, http.StatusSeeOther)
		return nil
	}
	view := loginView{Next: next}
	if dev := d.config.DevSignIn; dev != nil {
		view.Dev, view.User = true, dev.UserName
	}
	return d.render(w, v, http.StatusOK, "login", layout{Title: "Sign in", Page: view})
}

// signIn lets the developer in.
func (d *Dashboard) signIn(w http.ResponseWriter, v *visit) error {
	dev := d.config.DevSignIn
	if dev == nil {
		return noSignIn()
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	d.startSession(w, session{OrgID: dev.OrgID, User: dev.UserName, By: byDevelopment}, v.now)
	http.Redirect(w, v.Request, safeNext(v.PostForm.Get("next")), http.StatusSeeOther)
	return nil
}

func (d *Dashboard) signOut(w http.ResponseWriter, v *visit) error {
	d.endSession(w)
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
