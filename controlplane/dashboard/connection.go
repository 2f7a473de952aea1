package dashboard

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// connectionView is the data for templates/connection.html.
type connectionView struct {
	URL         string
	Name        string
	Pill        pill
	Detail      string // why it is not ok
	Tested      moment
	Facts       []fact
	Zones       []string
	ZonesError  string // why they can't be shown
	Created     moment
	Creator     string // empty if unknown
	MayChange   bool
	Rename      renameForm
	Credentials *connectionForm
	DeleteError string
}

// connectionPage shows a DNS connection.
func (d *Dashboard) connectionPage(w http.ResponseWriter, v *visit) error {
	c, err := d.connection(v)
	if err != nil {
		return err
	}
	return d.showConnection(w, v, http.StatusOK, c, nil)
}

// connection returns the DNS connection in the URL.
func (d *Dashboard) connection(v *visit) (*controlplane.Connection, error) {
	id := mux.Vars(v.Request)["connection"]
	if !controlplane.IsID(controlplane.PrefixConnection, id) {
		return nil, controlplane.NotFound("DNS connection", id)
	}
	return d.store.Connection(v.Context(), v.org.ID, id)
}

// showConnection responds with the page of a connection. change sets the errors of its forms.
func (d *Dashboard) showConnection(
	w http.ResponseWriter, v *visit, status int, c *controlplane.Connection,
	change func(*connectionView),
) error {
	view := connectionView{URL: connectionURL(c.ID), Name: c.Name, Pill: connectionPill(c.Status),
		Detail: c.StatusDetail, Tested: v.maybeAt(c.LastTestedAt), Created: v.at(c.CreatedAt),
		MayChange: v.may(controlplane.ScopeConnectionsWrite),
		Rename:    renameForm{Name: c.Name, Version: versionOf(c.Name)},
		Credentials: newConnectionForm(connectionURL(c.ID)+"/credentials",
			"Test and replace"),
		Facts: []fact{{Name: "Type", Value: connectionTypeTitle(c.Type)},
			{Name: "ID", Value: c.ID, Mono: true, Copy: true}}}
	zones, err := d.lifecycle.ConnectionZones(v.Context(), v.org.ID, c.ID)
	if view.Zones = zones; err != nil {
		text, _ := fieldError(err)
		if e := controlplane.AsError(err); text == "" && e.Kind == controlplane.KindUnavailable {
			text = e.Message
		}
		if view.ZonesError = text; text == "" {
			return err
		}
	}
	if c.CreatedBy != "" {
		names, err := d.names(v.Context(), v, []string{c.CreatedBy})
		if err != nil {
			return err
		}
		view.Creator = names.creator(c.CreatedBy)
	}
	if change != nil {
		change(&view)
	}
	return d.render(w, v, status, "connection", layout{Title: c.Name, Section: "settings",
		Tab: "connections", Flash: d.takeFlash(w, v), Page: view})
}

// testConnection tests a connection now.
func (d *Dashboard) testConnection(w http.ResponseWriter, v *visit) error {
	c, err := d.connection(v)
	if err != nil {
		return err
	}
	if c, err = d.lifecycle.TestConnection(v.Context(), d.actor(v), v.org.ID, c.ID); err != nil {
		return err
	}
	d.setFlash(w, "connection-"+string(c.Status))
	http.Redirect(w, v.Request, connectionURL(c.ID), http.StatusSeeOther)
	return nil
}

// renameConnection saves the name in the form.
func (d *Dashboard) renameConnection(w http.ResponseWriter, v *visit) error {
	c, err := d.connection(v)
	if err != nil {
		return err
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	name := strings.TrimSpace(v.PostForm.Get("name"))
	err = d.store.InTx(v.Context(), func(t *postgres.Tx) (err error) {
		c, err = t.LockConnection(v.Context(), v.org.ID, c.ID)
		return err
	})
	if err != nil {
		return err
	}
	if e := (&edit{Object: c.Name, EntityID: c.ID, URL: connectionURL(c.ID), Section: "settings",
		Tab: "connections", Current: versionOf(c.Name),
		Fields: []editField{{"Name", name, c.Name}}}); e.stale(v) {
		return d.showConflict(w, v, e)
	}
	entered := name
	if _, err = d.lifecycle.UpdateConnection(v.Context(), d.actor(v), v.org.ID, c.ID,
		lifecycle.ConnectionPatch{Name: &name}); err == nil {
		d.setFlash(w, "connection-renamed")
		http.Redirect(w, v.Request, connectionURL(c.ID), http.StatusSeeOther)
		return nil
	}
	text, status := fieldError(err)
	if text == "" {
		return err
	}
	return d.showConnection(w, v, status, c, func(view *connectionView) {
		view.Rename = renameForm{Name: entered, Version: view.Rename.Version, Error: text}
	})
}

// replaceCredentials tests the credentials in the form, and stores them.
func (d *Dashboard) replaceCredentials(w http.ResponseWriter, v *visit) error {
	c, err := d.connection(v)
	if err != nil {
		return err
	}
	form, credentials, err := submittedConnection(v, connectionURL(c.ID)+"/credentials",
		"Test and replace")
	if err != nil {
		return err
	}
	_, err = d.lifecycle.UpdateConnection(v.Context(), d.actor(v), v.org.ID, c.ID,
		lifecycle.ConnectionPatch{Credentials: credentials})
	if err == nil {
		d.setFlash(w, "connection-replaced")
		http.Redirect(w, v.Request, connectionURL(c.ID), http.StatusSeeOther)
		return nil
	}
	if !form.setErrors(err) {
		return err
	}
	status, _ := statusOf(controlplane.AsError(err))
	return d.showConnection(w, v, status, c,
		func(view *connectionView) { view.Credentials = form })
}

// deleteConnection deletes a connection with its credentials. While records are to be removed
// through it, it shows which, unless they are to be kept.
func (d *Dashboard) deleteConnection(w http.ResponseWriter, v *visit) error {
	c, err := d.connection(v)
	if err != nil {
		return err
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	err = d.lifecycle.DeleteConnection(v.Context(), d.actor(v), v.org.ID, c.ID,
		v.PostForm.Get("keep") != "")
	switch {
	case err == nil:
		d.setFlash(w, "connection-deleted")
		http.Redirect(w, v.Request, connectionsPath, http.StatusSeeOther)
		return nil
	case controlplane.HasCode(err, controlplane.CodeConnectionBusy):
		return d.showConnection(w, v, http.StatusConflict, c, func(view *connectionView) {
			view.DeleteError = controlplane.AsError(err).Message +
				" Try again in a moment, or leave them there."
		})
	}
	return err
}
