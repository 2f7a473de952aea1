package dashboard

import (
	"net/http"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// addForm is the form to add a domain, with its input and errors.
type addForm struct {
	Name        string
	Wildcard    bool
	Focus       bool
	Error       string
	Fix         string
	ExistingURL string // URL of the domain if it already exists
}

func (d *Dashboard) addDomain(w http.ResponseWriter, v *visit) error {
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	form := addForm{Name: v.PostForm.Get("name"),
		Wildcard: v.PostForm.Get("wildcard") != "", Focus: true}
	domain, err := d.lifecycle.AddDomain(v.Context(), d.actor(v), v.org.ID, lifecycle.NewDomain{
		Name:    strings.TrimSpace(form.Name),
		Options: controlplane.Options{Wildcard: form.Wildcard, AutoIssue: true, AutoRenew: true}})
	if err == nil {
		d.setFlash(w, "added")
		http.Redirect(w, v.Request, "/domains/"+domain.ID, http.StatusSeeOther)
		return nil
	}
	e := controlplane.AsError(err)
	switch e.Kind {
	case controlplane.KindInvalid, controlplane.KindConflict, controlplane.KindForbidden:
	default:
		return err
	}
	form.Error, form.Fix = e.Message, fixFor(e)
	if e.ExistingID != "" {
		form.ExistingURL, form.Fix = "/domains/"+e.ExistingID, ""
	}
	status, _ := statusOf(e)
	return d.showDomains(w, v, status, form)
}
