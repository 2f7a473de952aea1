package dashboard

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// domainSettingsView is the data for templates/domain_settings.html.
type domainSettingsView struct {
	URL     string // of the domain's page
	Name    string
	Form    *settingsForm
	Removal *domainRemoval
}

// settingsForm is the form with a domain's options and labels, with its input and errors. Another
// form changes the names in the certificate.
type settingsForm struct {
	Action         string
	CAs            []choice
	KeyTypes       []choice
	CSR            string // a key of the user; without one, each certificate has a new key
	Profile        string
	PreferredChain string
	AutoIssue      bool
	AutoRenew      bool
	Labels         string // a line for each, "key=value"
	Version        string
	Errors         map[string]string // by field
	Focus          string            // the first field with an error

	ca      string
	keyType controlplane.KeyType
}

// settingsFields are the fields with errors, in the order of the form.
var settingsFields = []string{"auto_issue", "auto_renew", "ca", "key_type", "csr_pem", "profile",
	"preferred_chain", "labels"}

func settingsURL(domainID string) string { return "/domains/" + domainID + "/settings" }

func settingsVersion(d *controlplane.Domain) string {
	return versionOf(d.CA, string(d.KeyType), d.CSRPEM, d.Profile, d.PreferredChain, d.AutoIssue,
		d.AutoRenew, labelLines(d.Labels))
}

func newSettingsForm(d *controlplane.Domain) *settingsForm {
	return &settingsForm{Action: settingsURL(d.ID), ca: d.CA, keyType: d.KeyType, CSR: d.CSRPEM,
		Profile: d.Profile, PreferredChain: d.PreferredChain, AutoIssue: d.AutoIssue,
		AutoRenew: d.AutoRenew, Labels: labelLines(d.Labels), Version: settingsVersion(d)}
}

// read replaces the values by those that were submitted.
func (f *settingsForm) read(v *visit) {
	text := func(name string) string { return strings.TrimSpace(v.PostForm.Get(name)) }
	f.ca, f.keyType = text("ca"), controlplane.KeyType(text("key_type"))
	f.CSR, f.Profile, f.PreferredChain = text("csr_pem"), text("profile"), text("preferred_chain")
	f.AutoIssue, f.AutoRenew = text("auto_issue") != "", text("auto_renew") != ""
	f.Labels, f.Version = v.PostForm.Get("labels"), v.PostForm.Get(versionField)
}

// choose sets the choices of the form's lists.
func (f *settingsForm) choose(cas []string) {
	add := func(to *[]choice, value, label, chosen string) {
		*to = append(*to, choice{Value: value, Label: label, Selected: value == chosen})
	}
	f.CAs, f.KeyTypes = nil, nil
	add(&f.CAs, "", "Automatic", f.ca)
	if f.ca != "" && !slices.Contains(cas, f.ca) { // the operator removed it
		add(&f.CAs, f.ca, f.ca, f.ca)
	}
	for _, name := range cas {
		add(&f.CAs, name, name, f.ca)
	}
	for _, k := range rules.KeyTypes() {
		add(&f.KeyTypes, k, keyTitle(controlplane.KeyType(k)), string(f.keyType))
	}
}

// fieldNote is the text below a field: its error, or the hint without one.
type fieldNote struct {
	Field, Hint, Error string
	Focus              bool
}

// Note returns the note of a field. The template calls it.
func (f *settingsForm) Note(field, hint string) fieldNote {
	return fieldNote{field, hint, f.Errors[field], f.Focus == field}
}

// Rows returns the height of the text area for a text. The template calls it.
func (f *settingsForm) Rows(text string) int { return min(max(3, strings.Count(text, "\n")+1), 12) }

// edit returns the changes to a domain's settings as a comparison.
func (f *settingsForm) edit(d *controlplane.Domain) *edit {
	mine, wrong := parseLabels(f.Labels)
	labels := labelLines(mine)
	if wrong != "" {
		labels = f.Labels
	}
	key := keyTitle(f.keyType)
	if f.CSR != "" {
		key = keyTitle(d.KeyType) // the one of the CSR
	}
	return &edit{Object: d.Name, EntityID: d.ID, URL: settingsURL(d.ID), Section: "domains",
		Current: settingsVersion(d), Fields: []editField{
			{"Order certificates automatically", yesNo(f.AutoIssue), yesNo(d.AutoIssue)},
			{"Renew automatically", yesNo(f.AutoRenew), yesNo(d.AutoRenew)},
			{"CA", cmp.Or(f.ca, "Automatic"), cmp.Or(d.CA, "Automatic")},
			{"Key type", key, keyTitle(d.KeyType)},
			{"CSR", f.csr(d), d.CSRPEM},
			{"Profile", f.Profile, d.Profile},
			{"Preferred chain", f.PreferredChain, d.PreferredChain},
			{"Labels", labels, labelLines(d.Labels)},
		}}
}

// csr returns the submitted CSR. A browser changes the ends of its lines.
func (f *settingsForm) csr(d *controlplane.Domain) string {
	if rules.SameCSR(f.CSR, d.CSRPEM) {
		return d.CSRPEM
	}
	return f.CSR
}

// patch returns the submitted options. The key type is that of the CSR if there is one.
func (f *settingsForm) patch(
	d *controlplane.Domain, labels map[string]string,
) lifecycle.DomainPatch {
	csr := f.csr(d)
	p := lifecycle.DomainPatch{CA: &f.ca, CSRPEM: &csr, Profile: &f.Profile,
		PreferredChain: &f.PreferredChain, AutoIssue: &f.AutoIssue, AutoRenew: &f.AutoRenew,
		Labels: &labels}
	if csr == "" {
		p.KeyType = &f.keyType
	}
	return p
}

// domainSettingsPage shows a domain's options, which can be changed, and its deletion.
func (d *Dashboard) domainSettingsPage(w http.ResponseWriter, v *visit) error {
	domain, err := d.domain(v)
	if err != nil {
		return err
	}
	return d.showDomainSettings(w, v, http.StatusOK, domain, newSettingsForm(domain),
		newDomainRemoval(domain))
}

func (d *Dashboard) showDomainSettings(
	w http.ResponseWriter, v *visit, status int, domain *controlplane.Domain, form *settingsForm,
	removal *domainRemoval,
) error {
	form.choose(d.lifecycle.Issuer.CAs())
	for _, name := range settingsFields {
		if form.Focus == "" && form.Errors[name] != "" {
			form.Focus = name
		}
	}
	return d.render(w, v, status, "domain_settings", layout{Title: "Settings of " + domain.Name,
		Section: "domains", Flash: d.takeFlash(w, v), Page: domainSettingsView{
			URL: "/domains/" + domain.ID, Name: domain.Name, Form: form, Removal: removal}})
}

// changeDomainSettings changes a domain's options and labels.
func (d *Dashboard) changeDomainSettings(w http.ResponseWriter, v *visit) error {
	domain, stored, err := d.lockedDomain(v)
	if err != nil {
		return err
	}
	form := newSettingsForm(stored)
	form.read(v)
	if e := form.edit(stored); e.stale(v) {
		return d.showConflict(w, v, e)
	}
	labels, wrong := parseLabels(form.Labels)
	if wrong != "" {
		form.Errors = map[string]string{"labels": wrong}
		return d.showDomainSettings(w, v, http.StatusUnprocessableEntity, domain, form,
			newDomainRemoval(domain))
	}
	changed, err := d.lifecycle.UpdateDomain(v.Context(), d.actor(v), v.org.ID, domain.ID, 0,
		form.patch(stored, labels))
	if err == nil {
		d.setFlash(w, savedSettings(stored, changed))
		http.Redirect(w, v.Request, "/domains/"+domain.ID, http.StatusSeeOther)
		return nil
	}
	e := controlplane.AsError(err)
	if !isFormError(e) {
		return err
	}
	form.Errors = settingsErrors(e)
	status, _ := statusOf(e)
	return d.showDomainSettings(w, v, status, domain, form, newDomainRemoval(domain))
}

// savedSettings returns the flash for changed settings: what happens now.
func savedSettings(before, after *controlplane.Domain) string {
	switch {
	case after.OptionsRevision == before.OptionsRevision || after.CertificateID == "":
		return "settings-saved"
	case after.AutoIssue:
		return "settings-ordered"
	}
	return "settings-outdated"
}

// settingsErrors returns the messages of an error by the fields of the form. One about no field of
// it is shown at the first.
func settingsErrors(e *controlplane.Error) map[string]string {
	out := map[string]string{}
	for _, f := range e.Fields {
		field, _, _ := strings.Cut(strings.TrimPrefix(f.Pointer, "/"), "/")
		if !slices.Contains(settingsFields, field) {
			field = settingsFields[0]
		}
		if !strings.Contains(out[field], f.Detail) {
			out[field] = strings.TrimSpace(out[field] + " " + f.Detail)
		}
	}
	if len(e.Fields) == 0 {
		out[settingsFields[0]] = strings.TrimSpace(e.Message + " " + fixFor(e))
	}
	return out
}
