package dashboard

import (
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// tokenSecretView is the data for templates/token_secret.html.
type tokenSecretView struct {
	Heading       string
	Name          string
	URL           string
	Secret        string
	Expires       moment
	PreviousUntil moment
	Rotated       bool
}

// showTokenSecret responds with a token's secret. Only responses to POST requests contain it.
func (d *Dashboard) showTokenSecret(
	w http.ResponseWriter, v *visit, heading string, t *controlplane.Token, secret string,
) error {
	view := tokenSecretView{Heading: heading, Name: t.Name, URL: tokenURL(t.ID), Secret: secret,
		Expires: v.maybeAt(t.ExpiresAt), PreviousUntil: v.previousUntil(t),
		Rotated: t.RotatedAt != nil}
	return d.render(w, v, http.StatusOK,
		"token_secret", layout{Title: heading, Section: "settings", Tab: "tokens", Page: view})
}
