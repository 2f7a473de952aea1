package dashboard

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// acmednsForm is the form to add or edit an acme-dns account, with its input and errors.
type acmednsForm struct {
	Action, Button string
	Version        string // of the account to edit; empty in the form to add one
	Description    connectionField
	AllowFrom      connectionField // one network per line
	Error          string          // not about a field
	Open           bool
}

func newACMEDNSForm() *acmednsForm {
	return &acmednsForm{Action: acmeClientsPath, Button: "Add account",
		Description: connectionField{ID: "description"},
		AllowFrom:   connectionField{ID: "allow-from"}}
}

// editACMEDNSForm returns the form of an account.
func editACMEDNSForm(a *controlplane.ACMEDNSAccount) *acmednsForm {
	form := newACMEDNSForm()
	form.Action, form.Button, form.Version = accountURL(a.ID), "Save", accountVersion(a)
	form.Description.Value = a.Description
	form.AllowFrom.Value = strings.Join(a.AllowFrom, "\n")
	return form
}

// accountVersion returns the version of an account for its form.
func accountVersion(a *controlplane.ACMEDNSAccount) string {
	return versionOf(a.Description, strings.Join(a.AllowFrom, "\n"))
}

// submit sets the input of a form. The form must have been parsed.
func (f *acmednsForm) submit(v *visit) {
	f.Open = true
	f.Description.Value = strings.TrimSpace(v.PostForm.Get("description"))
	f.AllowFrom.Value = v.PostForm.Get("allow_from")
}

// networks returns the networks in the form. They may be invalid.
func (f *acmednsForm) networks() []string {
	return strings.Fields(strings.NewReplacer(",", " ", ";", " ").Replace(f.AllowFrom.Value))
}

// setErrors assigns an error to its fields. It reports whether the form can show the error.
func (f *acmednsForm) setErrors(err error) bool {
	e := controlplane.AsError(err)
	if e.Kind != controlplane.KindInvalid && e.Code != "plan-limit" {
		return false
	}
	if len(e.Fields) == 0 {
		f.Error = strings.TrimSpace(e.Message + " " + fixFor(e))
	}
	for _, field := range e.Fields {
		index, network := strings.CutPrefix(field.Pointer, "/allow_from")
		switch {
		case network:
			f.setNetworkError(strings.TrimPrefix(index, "/"), field.Detail)
		case field.Pointer == "/description":
			f.Description.Error = field.Detail
		default:
			f.Error = field.Detail
		}
	}
	return true
}

// setNetworkError sets the error of a network. Of several, it keeps the first one.
func (f *acmednsForm) setNetworkError(index, detail string) {
	if f.AllowFrom.Error != "" {
		return
	}
	f.AllowFrom.Error = detail
	if i, err := strconv.Atoi(index); err == nil && i < len(f.networks()) {
		f.AllowFrom.Error = fmt.Sprintf("“%s”: %s", f.networks()[i], detail)
	}
}

// Focus returns the ID of the first field with an error, or "". The template calls it.
func (f *acmednsForm) Focus() string {
	for _, field := range []connectionField{f.Description, f.AllowFrom} {
		if field.Error != "" {
			return field.ID
		}
	}
	return ""
}
