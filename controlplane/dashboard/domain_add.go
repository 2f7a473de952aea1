package dashboard

import (
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// addForm is the form to add a domain, with its input and errors.
type addForm struct {
	Name        string // the domain's name, and after it the additional names of its certificate
	Wildcard    bool
	Focus       bool
	Errors      []string
	ExistingURL string // URL of the domain if it already exists
	Connection  string // through which the records are created; empty: none
	Connections []choice
}

func (d *Dashboard) addDomain(w http.ResponseWriter, v *visit) error {
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	form := addForm{Name: v.PostForm.Get("name"),
		Wildcard: v.PostForm.Get("wildcard") != "", Focus: true,
		Connection: v.PostForm.Get("connection")}
	in := lifecycle.NewDomain{Options: controlplane.Options{Wildcard: form.Wildcard,
		AutoIssue: true, AutoRenew: true, ConnectionID: form.Connection}}
	if names := splitNames(form.Name); len(names) > 0 {
		in.Name, in.Options.AdditionalNames = names[0], names[1:]
	}
	domain, err := d.lifecycle.AddDomain(v.Context(), d.actor(v), v.org.ID, in)
	if err == nil {
		flash := "added"
		switch {
		case domain.ConnectionID != "":
			flash = "added-through"
		case len(domain.Targets) > 0:
			flash = "added-several"
		}
		d.setFlash(w, flash)
		http.Redirect(w, v.Request, "/domains/"+domain.ID, http.StatusSeeOther)
		return nil
	}
	e := controlplane.AsError(err)
	if !isFormError(e) {
		return err
	}
	form.Errors = messagesOf(e)
	if e.ExistingID != "" {
		form.Errors, form.ExistingURL = []string{e.Message}, "/domains/"+e.ExistingID
	}
	status, _ := statusOf(e)
	return d.showDomains(w, v, status, form)
}
