package dashboard

import (
	"net/http"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// createOrganization creates an organization of the signed-in user, and switches the session to it.
func (d *Dashboard) createOrganization(w http.ResponseWriter, v *visit) error {
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	view := organizationListView{Name: v.PostForm.Get("name")}
	created, err := d.lifecycle.CreateOwnOrganization(v.Context(), d.actor(v), &v.session.User,
		view.Name)
	if err == nil {
		if err := d.lifecycle.SwitchOrganization(v.Context(), d.actor(v), v.session,
			created.ID); err != nil {
			return err
		}
		d.setFlash(w, "created")
		http.Redirect(w, v.Request, "/domains", http.StatusSeeOther)
		return nil
	}
	e := controlplane.AsError(err)
	if !isFormError(e) {
		return err
	}
	view.Error = strings.Join(messagesOf(e), " ")
	status, _ := statusOf(e)
	return d.showOrganizations(w, v, status, view)
}
