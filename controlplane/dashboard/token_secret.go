package dashboard

import (
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// tokenSecretView is what templates/token_secret.html shows: the one time that it is shown.
type tokenSecretView struct {
	Heading       string
	Name          string
	URL           string
	Secret        string
	Expires       moment
	PreviousUntil moment
	Rotated       bool
}

// showTokenSecret answers with a token's secret. No answer to a GET ever has it.
func (d *Dashboard) showTokenSecret(w http.ResponseWriter, v *visit, heading string, t *controlplane.Token, secret string) error {
	view := tokenSecretView{Heading: heading, Name: t.Name, URL: tokenURL(t.ID), Secret: secret, Expires: v.maybeAt(t.ExpiresAt), PreviousUntil: v.previousUntil(t), Rotated: t.RotatedAt != nil}
	return d.render(w, v, http.StatusOK, "token_secret", layout{Title: heading, Section: "settings", Tab: "tokens", Page: view})
}
