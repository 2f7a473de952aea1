package dashboard

import (
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// splitNames returns the names in a pasted text. White space, commas, and semicolons separate them.
func splitNames(text string) []string {
	return strings.FieldsFunc(text,
		func(r rune) bool { return unicode.IsSpace(r) || r == ',' || r == ';' })
}

// namesForm is the form to change the names in a domain's certificate, with its input and errors.
type namesForm struct {
	Action   string
	Names    string // the additional names, one per line
	Wildcard bool
	Partial  bool // a certificate is ordered for the names that are ready
	Version  string
	Errors   []string
}

func newNamesForm(d *controlplane.Domain) *namesForm {
	return &namesForm{Action: "/domains/" + d.ID + "/names",
		Names: strings.Join(d.AdditionalNames, "\n"), Wildcard: d.Wildcard,
		Partial: d.IssuePartial, Version: namesVersion(d)}
}

func namesVersion(d *controlplane.Domain) string {
	return versionOf(d.AdditionalNames, d.Wildcard, d.IssuePartial)
}

// Rows returns the height of the form's text area. The template calls it.
func (f *namesForm) Rows() int { return min(max(3, strings.Count(f.Names, "\n")+1), 12) }

// edit returns the changes to a domain's names as a comparison.
func (f *namesForm) edit(d *controlplane.Domain) *edit {
	return &edit{Object: d.Name, EntityID: d.ID, URL: "/domains/" + d.ID, Section: "domains",
		Current: namesVersion(d), Fields: []editField{
			{"Additional names", strings.Join(sorted(splitNames(f.Names)), ", "),
				strings.Join(d.AdditionalNames, ", ")},
			{"Wildcard", yesNo(f.Wildcard), yesNo(d.Wildcard)},
			{"Issue for the names that are ready", yesNo(f.Partial), yesNo(d.IssuePartial)},
		}}
}

// changeNames replaces the names in a domain's certificate.
func (d *Dashboard) changeNames(w http.ResponseWriter, v *visit) error {
	domain, stored, err := d.lockedDomain(v)
	if err != nil {
		return err
	}
	form := newNamesForm(stored)
	form.Names, form.Wildcard = v.PostForm.Get("names"), v.PostForm.Get("wildcard") != ""
	form.Partial = v.PostForm.Get("issue_partial") != ""
	form.Version = v.PostForm.Get(versionField)
	if e := form.edit(stored); e.stale(v) {
		return d.showConflict(w, v, e)
	}
	names := splitNames(form.Names)
	_, err = d.lifecycle.UpdateDomain(v.Context(), d.actor(v), v.org.ID, domain.ID, 0,
		lifecycle.DomainPatch{AdditionalNames: &names, Wildcard: &form.Wildcard,
			IssuePartial: &form.Partial})
	if err == nil {
		d.setFlash(w, "names-saved")
		http.Redirect(w, v.Request, "/domains/"+domain.ID, http.StatusSeeOther)
		return nil
	}
	e := controlplane.AsError(err)
	if !isFormError(e) {
		return err
	}
	form.Errors = messagesOf(e)
	status, _ := statusOf(e)
	return d.showDomain(w, v, status, domain, form)
}

// isFormError reports whether a form about a domain shows an error.
func isFormError(e *controlplane.Error) bool {
	return slices.Contains([]controlplane.Kind{controlplane.KindInvalid,
		controlplane.KindConflict, controlplane.KindForbidden}, e.Kind)
}

// messagesOf returns a message for each invalid field, or the message of the error. The only one
// has the fix.
func messagesOf(e *controlplane.Error) []string {
	var messages []string
	for _, f := range e.Fields {
		if !slices.Contains(messages, f.Detail) {
			messages = append(messages, f.Detail)
		}
	}
	if len(messages) > 1 {
		return messages
	}
	message := e.Message
	if len(messages) == 1 {
		message = messages[0]
	}
	return []string{strings.TrimSpace(message + " " + fixFor(e))}
}
