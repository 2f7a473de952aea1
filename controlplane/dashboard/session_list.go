package dashboard

import (
	"net/http"
	"slices"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	sessionsPath = "/settings/sessions"

	// sessionsShown is the maximum number of sessions that the page lists. It is above MaxSessions
	// because users may have older sessions from before that limit.
	sessionsShown = 200
)

// sessionListView is the data for templates/session_list.html.
type sessionListView struct {
	Rows   []sessionRow
	Others bool // there are sessions besides the current one
	Max    int
}

// sessionRow is a session of the signed-in user.
type sessionRow struct {
	Browser       string
	Address       string
	Organization  string
	Used, Created moment
	Current       bool
	End           string // URL
}

// sessionsPage lists the sessions of the signed-in user: the current one first, then the others,
// most recently used first.
func (d *Dashboard) sessionsPage(w http.ResponseWriter, v *visit) error {
	sessions, _, err := d.store.ListSessions(v.Context(), v.session.User.ID, v.now, nil,
		sessionsShown)
	if err != nil {
		return err
	}
	slices.SortStableFunc(sessions, func(a, b controlplane.Session) int {
		switch v.session.ID {
		case a.ID:
			return -1
		case b.ID:
			return 1
		}
		return b.LastSeenAt.Compare(a.LastSeenAt)
	})
	view := sessionListView{Max: controlplane.MaxSessions}
	for i := range sessions {
		s := &sessions[i]
		row := sessionRow{Browser: browserTitle(s.UserAgent), Address: s.IP,
			Organization: s.OrgName, Used: v.at(s.LastSeenAt), Created: v.at(s.CreatedAt),
			Current: s.ID == v.session.ID, End: sessionsPath + "/" + s.ID + "/end"}
		view.Rows, view.Others = append(view.Rows, row), view.Others || !row.Current
	}
	return d.render(w, v, http.StatusOK,
		"session_list", layout{Title: "Sessions", Section: "settings", Tab: "sessions",
			Flash: d.takeFlash(w, v), Page: view})
}

// endSession ends a session of the signed-in user. Pressing the button twice, or in two tabs, is
// not an error.
func (d *Dashboard) endSession(w http.ResponseWriter, v *visit) error {
	id, flash := mux.Vars(v.Request)["session"], "session-ended"
	err := d.lifecycle.EndSession(v.Context(), d.actor(v), v.session.User.ID, id)
	switch {
	case controlplane.IsKind(err, controlplane.KindNotFound):
		flash = "session-gone"
	case err != nil:
		return err
	case id == v.session.ID:
		d.forgetSession(w)
		http.Redirect(w, v.Request, "/login", http.StatusSeeOther)
		return nil
	}
	d.setFlash(w, flash)
	http.Redirect(w, v.Request, sessionsPath, http.StatusSeeOther)
	return nil
}

// endOtherSessions ends all sessions of the signed-in user except the current one.
func (d *Dashboard) endOtherSessions(w http.ResponseWriter, v *visit) error {
	n, err := d.lifecycle.EndSessions(v.Context(), d.actor(v), v.session.User.ID, v.session.ID)
	if err != nil {
		return err
	}
	d.setFlash(w, flashWithCount("sessions-ended", n))
	http.Redirect(w, v.Request, sessionsPath, http.StatusSeeOther)
	return nil
}
