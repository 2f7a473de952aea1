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
	Secret        string // empty if it was shown before
	Expires       moment
	PreviousUntil moment
	Rotated       bool
}

// tokenSecretPath is the path of the pages with a token's secrets.
const tokenSecretPath = tokenPath + "/secret"

// giveTokenSecret redirects to the page that shows a token's new secret once.
func (d *Dashboard) giveTokenSecret(
	w http.ResponseWriter, v *visit, t *controlplane.Token, secret string,
) error {
	return d.giveSecret(w, v, tokenURL(t.ID)+"/secret", secret)
}

// tokenSecretPage shows a token's new secret once.
func (d *Dashboard) tokenSecretPage(w http.ResponseWriter, v *visit) error {
	t, err := d.token(v)
	if err != nil {
		return err
	}
	view := tokenSecretView{Heading: "Token created", Name: t.Name, URL: tokenURL(t.ID),
		Expires: v.maybeAt(t.ExpiresAt), PreviousUntil: v.previousUntil(t),
		Rotated: t.RotatedAt != nil}
	if view.Secret, err = d.takeSecret(v); err != nil {
		return err
	}
	switch {
	case view.Secret == "":
		view.Heading = "Secret already shown"
	case view.Rotated:
		view.Heading = "Secret rotated"
	}
	return d.render(w, v, secretStatus(view.Secret), "token_secret",
		layout{Title: view.Heading, Section: "settings", Tab: "tokens", Page: view})
}
