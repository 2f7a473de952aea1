package dashboard

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// tokenForm is the form to create a token, with its input and errors.
type tokenForm struct {
	Name     string
	Groups   []scopeGroup
	Expiries []choice
	Domains  string // names, one per line

	NameError, ScopesError, ExpiryError, DomainsError string
	Focus                                             string // the first field with an error
}

// tokenExpiry is an option for the expiry of a token.
type tokenExpiry struct {
	value, word string
	days        int // 0 means no expiry
}

var tokenExpiries = []tokenExpiry{
	{"30d", "In 30 days", 30},
	{"90d", "In 90 days", 90},
	{"1y", "In 1 year", 365},
	{"never", "Never", 0},
}

func (d *Dashboard) newTokenPage(w http.ResponseWriter, v *visit) error {
	return d.showTokenForm(w, v, http.StatusOK, &tokenForm{Focus: "name"}, nil, "90d")
}

// showTokenForm responds with the form. The scopes and the expiry are selected.
func (d *Dashboard) showTokenForm(
	w http.ResponseWriter, v *visit, status int, form *tokenForm, scopes []controlplane.Scope,
	end string,
) error {
	form.Groups = scopeGroups(v.session.Role.Grant().Scopes, scopes)
	for _, e := range tokenExpiries {
		form.Expiries = append(form.Expiries, choice{e.value, e.word, e.value == end})
	}
	return d.render(w, v, status, "token_new", layout{Title: "New API token",
		Section: "settings", Tab: "tokens", Page: form})
}

// createToken creates a token and redirects to the page that shows its secret once.
func (d *Dashboard) createToken(w http.ResponseWriter, v *visit) error {
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	f := v.PostForm
	form := &tokenForm{Name: f.Get("name"), Domains: f.Get("domains")}
	in := lifecycle.NewToken{Name: form.Name}
	for _, s := range f["scope"] {
		in.Scopes = append(in.Scopes, controlplane.Scope(s))
	}
	end := slices.IndexFunc(tokenExpiries,
		func(e tokenExpiry) bool { return e.value == f.Get("end") })
	if end >= 0 && tokenExpiries[end].days > 0 {
		at := v.now.AddDate(0, 0, tokenExpiries[end].days)
		in.ExpiresAt = &at
	}
	named := lines(form.Domains)
	switch {
	case end < 0:
		form.ExpiryError = "Choose an expiry."
	case len(named) > rules.MaxTokenDomains:
		form.DomainsError = fmt.Sprintf("Enter at most %[2]d domains; the list has %[1]d.",
			len(named), rules.MaxTokenDomains)
	default:
		var err error
		if in.DomainIDs, err = d.domainIDs(v, named); err != nil {
			return err
		}
		t, secret, err := d.lifecycle.CreateToken(v.Context(), d.actor(v), v.session.Role.Grant(),
			v.org.ID, in)
		if err == nil {
			return d.giveTokenSecret(w, v, t, secret)
		}
		e := inputError(err)
		if e == nil {
			return err
		}
		form.setErrors(e, named)
	}
	form.setFocus()
	return d.showTokenForm(w, v, http.StatusUnprocessableEntity, form, in.Scopes, f.Get("end"))
}

// domainIDs returns the IDs of the named domains. The ID of an unknown domain is "", which
// lifecycle rejects.
func (d *Dashboard) domainIDs(v *visit, named []string) ([]string, error) {
	names := make([]string, len(named))
	for i, line := range named {
		names[i], _ = rules.CanonicalName(line) // "" if invalid
	}
	known, err := d.store.DomainIDs(v.Context(), v.org.ID, names)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(named))
	for i, name := range names {
		ids[i] = known[name]
	}
	return ids, nil
}

// setErrors assigns the errors to their fields.
func (f *tokenForm) setErrors(e *controlplane.Error, named []string) {
	var missing []string
	for _, field := range e.Fields {
		part, index, _ := strings.Cut(strings.TrimPrefix(field.Pointer, "/"), "/")
		switch part {
		case "scopes":
			f.ScopesError = field.Detail
		case "expires_at":
			f.ExpiryError = field.Detail
		case "domain_ids":
			if i, err := strconv.Atoi(index); err == nil && i < len(named) {
				missing = append(missing, "“"+named[i]+"”")
			}
		default:
			f.NameError = field.Detail
		}
	}
	if missing != nil {
		f.DomainsError = "Not found in this organization: " + strings.Join(missing, ", ") + "."
	}
	if len(e.Fields) == 0 {
		f.NameError = e.Message
	}
}

func (f *tokenForm) setFocus() {
	switch {
	case f.NameError != "":
		f.Focus = "name"
	case f.ScopesError != "":
		f.Focus = "scopes"
	case f.ExpiryError != "":
		f.Focus = "end"
	default:
		f.Focus = "domains"
	}
}
