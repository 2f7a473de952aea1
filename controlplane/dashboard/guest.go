package dashboard

import (
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

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
func (d *Dashboard) admitGuest(
	w http.ResponseWriter, v *visit, account controlplane.GitHubAccount, refused error,
) error {
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
