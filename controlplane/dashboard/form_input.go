package dashboard

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// inputLife is how long the input of a form that was not executed is kept.
	inputLife = time.Hour

	// inputParam is the query parameter that names kept input.
	inputParam = "input"
)

// Why the input of a form was kept.
const (
	keptSignedOut = "signed-out"
	keptElsewhere = "elsewhere" // the session is in another organization
	keptUsed      = "used"      // the form was executed with other input
)

// unkept are the fields that are never stored: passwords, and the names that a user types to
// confirm something irreversible.
var unkept = []string{"password", "confirm", "key_secret"}

// keptInput is the input of a form that was not executed. It is stored sealed and shown again in
// the form, which the user then submits.
type keptInput struct {
	Why    string     `json:"why"`
	Action string     `json:"action"`
	Fields url.Values `json:"fields"`

	orgID string // of the form; empty if the input is no longer available
}

func (d *Dashboard) inputCookie() string {
	if d.config.Secure {
		return "__Host-dcvaas_input"
	}
	return "dcvaas_input"
}

// keepInput stores the input of a form that was not executed because of why, and redirects to the
// form's page, after a sign-in if the session has ended. The browser's cookie has a secret that is
// required to read the input, and nothing of the input.
func (d *Dashboard) keepInput(
	w http.ResponseWriter, v *visit, f formRoute, key formKey, why error,
) error {
	in := keptInput{Why: keptUsed, Action: v.URL.Path, Fields: maps.Clone(v.PostForm)}
	switch {
	case errors.Is(why, errSignedOut):
		in.Why = keptSignedOut
	case errors.Is(why, errElsewhere):
		in.Why = keptElsewhere
	}
	for _, name := range unkept {
		in.Fields.Del(name)
	}
	secret := d.inputSecret(v)
	stored := inputKey(f.page, key.OrgID, key.Random, key.UserID, secret)
	plain, err := json.Marshal(in)
	if err != nil {
		return err
	}
	body, err := d.config.Sealer.Seal(plain, stored.SealedForPage())
	if err != nil {
		return err
	}
	err = d.store.KeepAnswer(v.Context(), stored,
		&postgres.Answer{Status: http.StatusOK, Body: body}, v.now)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return d.organizationOver(w, v)
	}
	if err != nil {
		return err
	}
	d.setCookie(w, d.inputCookie(), secret, int(inputLife/time.Second))
	to := pathOf(f.page, v) + "?" + url.Values{inputParam: {key.OrgID + "." + key.Random}}.Encode()
	if v.session == nil {
		to = signInTo(to)
	}
	http.Redirect(w, v.Request, to, http.StatusSeeOther)
	return nil
}

// pathOf returns the path of a page with the variables of the visit's URL.
func pathOf(page string, v *visit) string {
	for name, value := range mux.Vars(v.Request) {
		page = strings.ReplaceAll(page, "{"+name+"}", url.PathEscape(value))
	}
	return page
}

// inputSecret returns the secret in the browser's cookie, or a new one.
func (d *Dashboard) inputSecret(v *visit) string {
	if c, err := v.Cookie(d.inputCookie()); err == nil && controlplane.IsRandomSecret(c.Value) {
		return c.Value
	}
	return controlplane.NewRandomSecret()
}

// inputKey identifies kept input. It can be read only by its user, and with the browser's secret.
func inputKey(page, orgID, random, userID, secret string) postgres.AnswerKey {
	return postgres.AnswerKey{OrgID: orgID, Key: "input " + random, Method: http.MethodGet,
		Path: page, Hash: controlplane.HashSecret(secret + " " + userID)}
}

// readInput returns the input that the query names, or nil if it names none.
func (d *Dashboard) readInput(v *visit) (*keptInput, error) {
	route := mux.CurrentRoute(v.Request)
	if v.session == nil || v.Method == http.MethodPost || route == nil ||
		!v.URL.Query().Has(inputParam) {
		return nil, nil
	}
	orgID, random, _ := strings.Cut(v.URL.Query().Get(inputParam), ".")
	page, _ := route.GetPathTemplate()
	key := inputKey(page, orgID, random, v.session.User.ID, d.inputSecret(v))
	kept, err := d.store.Answer(v.Context(), key, v.now.Add(-inputLife))
	if controlplane.IsKind(err, controlplane.KindNotFound) ||
		controlplane.IsKind(err, controlplane.KindInvalid) {
		return &keptInput{}, nil
	}
	if err != nil {
		return nil, err
	}
	plain, err := d.config.Sealer.Open(kept.Body, key.SealedForPage())
	if err != nil {
		return nil, err
	}
	in := keptInput{orgID: orgID}
	return &in, json.Unmarshal(plain, &in)
}

// elsewhereView is the data for templates/form_elsewhere.html.
type elsewhereView struct {
	Form, Current string // names of organizations
	Switch        string // URL
	Next          string // page with the form
}

// showElsewhere responds to a visit whose form belongs to another organization than the session.
func (d *Dashboard) showElsewhere(w http.ResponseWriter, v *visit) error {
	m, err := d.store.Member(v.Context(), v.input.orgID, v.session.User.ID)
	if err == nil && !m.Active() || controlplane.IsKind(err, controlplane.KindNotFound) {
		return organizationGone()
	}
	if err != nil {
		return err
	}
	org, err := d.store.Organization(v.Context(), v.input.orgID)
	if err != nil {
		return err
	}
	view := elsewhereView{Form: org.Name, Current: v.org.Name, Switch: switchURL(org.ID),
		Next: v.URL.RequestURI()}
	v.input = nil
	return d.render(w, v, http.StatusConflict, "form_elsewhere",
		layout{Title: "Form of another organization", Page: view})
}

// organizationOver responds to a form of an organization that no longer exists. If the form
// deleted it, this is a repeated submission.
func (d *Dashboard) organizationOver(w http.ResponseWriter, v *visit) error {
	if v.URL.Path != deleteOrganizationPath {
		return organizationGone()
	}
	to := farewellPath
	if v.session != nil {
		left, err := d.store.Memberships(v.Context(), v.session.User.ID)
		if err != nil {
			return err
		}
		if len(left) > 0 {
			to = "/domains"
		}
	}
	d.setFlash(w, "deleted")
	http.Redirect(w, v.Request, to, http.StatusSeeOther)
	return nil
}

func organizationGone() error {
	return &controlplane.Error{Kind: controlplane.KindNotFound, Code: "form-organization-gone",
		Message: "The organization of this form was deleted, or you are no longer a member. Nothing was changed.",
		Fix:     "Choose one of your organizations."}
}
