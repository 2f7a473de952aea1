package dashboard

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const tokensURL = "/settings/tokens"

func tokenURL(id string) string { return tokensURL + "/" + id }

// tokenView is the data for templates/token.html.
type tokenView struct {
	ID, URL   string
	Name      string
	Prefix    string
	Creator   string
	Created   moment
	Used      moment
	Expires   moment
	Expired   bool
	Rotated   moment
	Previous  []previousSecret
	Groups    []scopeGroup // of its scopes
	Domains   []tokenDomain
	MayChange bool
	MayRotate bool
	Rename    renameForm
	Overlaps  []choice
}

// tokenDomain is a domain that the token can access.
type tokenDomain struct {
	Name string
	URL  string // empty if the domain was deleted
}

// renameForm is the form to rename a token or DNS connection, with its input and error.
type renameForm struct{ Name, Version, Error string }

// overlap is an option for the grace period of the current secret.
type overlap struct {
	value, word string
	lasts       time.Duration
}

var overlaps = []overlap{
	{"none", "None", 0},
	{"1h", "1 hour", time.Hour},
	{"24h", "24 hours", 24 * time.Hour},
	{"7d", "7 days", 7 * 24 * time.Hour},
}

func (d *Dashboard) tokenPage(w http.ResponseWriter, v *visit) error {
	t, err := d.token(v)
	if err != nil {
		return err
	}
	return d.showToken(w, v, http.StatusOK, t, renameForm{Name: t.Name, Version: versionOf(t.Name)})
}

// token returns the token in the URL.
func (d *Dashboard) token(v *visit) (*controlplane.Token, error) {
	id := mux.Vars(v.Request)["token"]
	if !controlplane.IsID(controlplane.PrefixToken, id) {
		return nil, controlplane.NotFound("token", id)
	}
	return d.store.Token(v.Context(), v.org.ID, id)
}

func (d *Dashboard) showToken(
	w http.ResponseWriter, v *visit, status int, t *controlplane.Token, rename renameForm,
) error {
	names, err := d.names(v.Context(), v, append([]string{t.CreatedBy}, t.DomainIDs...))
	if err != nil {
		return err
	}
	view := tokenView{ID: t.ID, URL: tokenURL(t.ID), Name: t.Name, Prefix: t.Secrets.Prefix(),
		Creator: names.creator(t.CreatedBy), Created: v.at(t.CreatedAt),
		Used: v.maybeAt(t.LastUsedAt), Expires: v.maybeAt(t.ExpiresAt), Expired: v.expired(t),
		Rotated: v.maybeAt(t.RotatedAt), Previous: v.previousTokenSecrets(t),
		Groups: scopeGroups(t.Scopes, nil), MayChange: v.may(controlplane.ScopeTokensWrite),
		Rename: rename}
	view.MayRotate = !view.Expired && v.session.Role.Grant().Covers(t.Grant())
	for _, id := range t.DomainIDs {
		domain := tokenDomain{Name: names.of(id)}
		if names[id] != "" {
			domain.URL = "/domains/" + id
		}
		view.Domains = append(view.Domains, domain)
	}
	for _, o := range overlaps {
		view.Overlaps = append(view.Overlaps, choice{o.value, o.word, o.value == "24h"})
	}
	return d.render(w, v, status, "token", layout{Title: t.Name,
		Section: "settings", Tab: "tokens", Flash: d.takeFlash(w, v), Page: view})
}

func (d *Dashboard) renameToken(w http.ResponseWriter, v *visit) error {
	t, err := d.token(v)
	if err != nil {
		return err
	}
	err = d.store.InTx(v.Context(), func(tx *postgres.Tx) (err error) {
		t, err = tx.LockToken(v.Context(), v.org.ID, t.ID)
		return err
	})
	if err != nil {
		return err
	}
	name := v.PostForm.Get("name")
	e := edit{Object: t.Name, EntityID: t.ID, URL: tokenURL(t.ID), Section: "settings",
		Tab: "tokens", Current: versionOf(t.Name),
		Fields: []editField{{"Name", strings.TrimSpace(name), t.Name}}}
	if e.stale(v) {
		return d.showConflict(w, v, &e)
	}
	_, err = d.lifecycle.RenameToken(v.Context(), d.actor(v), v.org.ID, t.ID, name)
	if wrong := inputError(err); wrong != nil {
		return d.showToken(w, v, http.StatusUnprocessableEntity, t,
			renameForm{name, v.PostForm.Get(versionField), wrong.Message})
	}
	if err != nil {
		return err
	}
	d.setFlash(w, "token-renamed")
	http.Redirect(w, v.Request, tokenURL(t.ID), http.StatusSeeOther)
	return nil
}

// rotateToken rotates a token's secret and redirects to the page that shows the new one once.
func (d *Dashboard) rotateToken(w http.ResponseWriter, v *visit) error {
	t, err := d.token(v)
	if err != nil {
		return err
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	i := slices.IndexFunc(overlaps,
		func(o overlap) bool { return o.value == v.PostForm.Get("overlap") })
	if i < 0 {
		return badForm(fmt.Errorf("unknown overlap %q", v.PostForm.Get("overlap")))
	}
	t, secret, err := d.lifecycle.RotateToken(v.Context(), d.actor(v), v.session.Role.Grant(),
		v.org.ID, t.ID, lifecycle.Rotation{Overlap: overlaps[i].lasts})
	if err != nil {
		return err
	}
	return d.giveTokenSecret(w, v, t, secret)
}

func (d *Dashboard) revokeToken(w http.ResponseWriter, v *visit) error {
	t, err := d.token(v)
	if err != nil {
		return err
	}
	if err := d.lifecycle.DeleteToken(v.Context(), d.actor(v), v.org.ID, t.ID); err != nil {
		return err
	}
	d.setFlash(w, "token-revoked")
	http.Redirect(w, v.Request, tokensURL, http.StatusSeeOther)
	return nil
}

// expired reports whether a token is expired.
func (v *visit) expired(t *controlplane.Token) bool {
	return t.ExpiresAt != nil && !t.ExpiresAt.After(v.now)
}

// previousTokenSecrets returns the previous secrets of a token that are valid.
func (v *visit) previousTokenSecrets(t *controlplane.Token) []previousSecret {
	if v.expired(t) {
		return nil
	}
	return v.previousSecrets(t.Secrets)
}

// previousUntil returns the expiry of the last of a token's previous secrets, or the zero moment if
// none is valid.
func (v *visit) previousUntil(t *controlplane.Token) moment {
	if v.expired(t) {
		return moment{}
	}
	return v.maybeAt(t.Secrets.PreviousUntil(v.now))
}
