package dashboard

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	tokensPerPage = 50

	// domainsNamed is the number of domains that a row names.
	domainsNamed = 3

	// revokeAllText is the text to type as confirmation for revoking all tokens.
	revokeAllText = "revoke all"
)

// tokenListView is the data for templates/token_list.html.
type tokenListView struct {
	Rows      []tokenRow
	Pages     pagesView
	MayChange bool
	RevokeAll revokeAllForm
}

// tokenRow is a row in the list.
type tokenRow struct {
	Name, URL     string
	Prefix        string
	Scopes        []controlplane.Scope
	ScopesTitle   string   // title of the collapsed scopes; empty for few scopes
	Domains       []string // the first domains that it can access
	More          int      // number of further domains
	Created       moment
	Creator       string
	Used          moment
	Expires       moment
	Expired       bool
	PreviousUntil moment // expiry of the last previous secret
}

// revokeAllForm is the form to revoke all tokens, with its error.
type revokeAllForm struct {
	Confirm string // text to type as confirmation
	Error   string
}

// tokenList is the list of tokens. A cursor is valid for one organization only.
type tokenList struct {
	Tokens string // the organization
}

func (d *Dashboard) tokensPage(w http.ResponseWriter, v *visit) error {
	return d.showTokens(w, v, http.StatusOK, "")
}

// showTokens responds with the list. wrong is the error of the form to revoke all tokens.
func (d *Dashboard) showTokens(w http.ResponseWriter, v *visit, status int, wrong string) error {
	l := tokenList{v.org.ID}
	after, err := d.openCursor(l, v.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	tokens, next, err := d.store.ListTokens(v.Context(), v.org.ID, "", after, tokensPerPage)
	if err != nil {
		return err
	}
	names, err := d.names(v.Context(), v, idsInRows(tokens))
	if err != nil {
		return err
	}
	view := tokenListView{MayChange: v.may(controlplane.ScopeTokensWrite),
		RevokeAll: revokeAllForm{revokeAllText, wrong}}
	for i := range tokens {
		view.Rows = append(view.Rows, v.tokenRow(&tokens[i], names))
	}
	if after != nil {
		view.Pages.First = tokensURL
	}
	if next != nil {
		view.Pages.Next = tokensURL + "?" + url.Values{"cursor": {d.sealCursor(l, next)}}.Encode()
	}
	return d.render(w, v, status, "token_list", layout{Title: "API tokens",
		Section: "settings", Tab: "tokens", Flash: d.takeFlash(w, v), Page: view})
}

func (v *visit) tokenRow(t *controlplane.Token, names names) tokenRow {
	row := tokenRow{Name: t.Name, URL: tokenURL(t.ID), Prefix: t.Secrets.Prefix(), Scopes: t.Scopes,
		ScopesTitle: scopesTitle(t.Scopes),
		Created:     v.at(t.CreatedAt), Creator: names.creator(t.CreatedBy),
		Used: v.maybeAt(t.LastUsedAt), Expires: v.maybeAt(t.ExpiresAt), Expired: v.expired(t),
		PreviousUntil: v.previousUntil(t)}
	for _, id := range t.DomainIDs[:min(domainsNamed, len(t.DomainIDs))] {
		row.Domains = append(row.Domains, names.of(id))
	}
	row.More = len(t.DomainIDs) - len(row.Domains)
	return row
}

// idsInRows returns the IDs of the objects that rows name.
func idsInRows(tokens []controlplane.Token) []string {
	var ids []string
	for _, t := range tokens {
		ids = append(append(ids, t.CreatedBy), t.DomainIDs[:min(domainsNamed, len(t.DomainIDs))]...)
	}
	return ids
}

// revokeTokens revokes all tokens of the organization after a typed confirmation.
func (d *Dashboard) revokeTokens(w http.ResponseWriter, v *visit) error {
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	if !strings.EqualFold(strings.TrimSpace(v.PostForm.Get("confirm")), revokeAllText) {
		return d.showTokens(w, v, http.StatusUnprocessableEntity,
			"The text does not match. Nothing was revoked. Type “"+revokeAllText+"” to confirm.")
	}
	if _, err := d.lifecycle.RevokeTokens(v.Context(), d.actor(v), v.org.ID, ""); err != nil {
		return err
	}
	d.setFlash(w, "tokens-revoked")
	http.Redirect(w, v.Request, tokensURL, http.StatusSeeOther)
	return nil
}
