package dashboard

import (
	"net/http"
	"net/url"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// connectionsPath is the path of the list of DNS connections.
	connectionsPath = "/settings/connections"
	// connectionPath is the path of the page of a DNS connection.
	connectionPath = connectionsPath + "/{connection}"

	connectionsPerPage = 50
)

// connectionListView is the data for templates/connection_list.html.
type connectionListView struct {
	Used, Limit int
	Tier        string
	Add         *connectionForm // nil if the user cannot add connections
	Rows        []connectionRow
	Sample      pill
	Pages       pagesView
}

// connectionRow is a row in the list.
type connectionRow struct {
	URL    string
	Name   string
	Type   string
	Pill   pill
	Detail string // why it is not ok
	Tested moment
	Used   moment
}

// connectionList identifies the list in its cursors.
type connectionList struct{ Org, Of string }

func (d *Dashboard) connectionsPage(w http.ResponseWriter, v *visit) error {
	return d.showConnections(w, v, http.StatusOK, addConnectionForm())
}

func addConnectionForm() *connectionForm {
	form := newConnectionForm(connectionsPath, "Test and add")
	form.Naming = true
	return form
}

// showConnections responds with the list and the form to add a connection.
func (d *Dashboard) showConnections(
	w http.ResponseWriter, v *visit, status int, form *connectionForm,
) error {
	l := connectionList{Org: v.org.ID, Of: "dns_connections"}
	after, err := d.openCursor(l, v.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	list, next, err := d.store.ListConnections(v.Context(), v.org.ID, after, connectionsPerPage)
	if err != nil {
		return err
	}
	view := connectionListView{Limit: v.org.Tier.Connections(), Tier: string(v.org.Tier),
		Sample: connectionPill(controlplane.ConnectionOK)}
	if view.Used, err = d.store.ConnectionCount(v.Context(), v.org.ID, ""); err != nil {
		return err
	}
	if v.may(controlplane.ScopeConnectionsWrite) {
		view.Add = form
		view.Add.Open = view.Add.Open || view.Used == 0
	}
	for i := range list {
		c := &list[i]
		view.Rows = append(view.Rows, connectionRow{URL: connectionURL(c.ID), Name: c.Name,
			Type: connectionTypeTitle(c.Type), Pill: connectionPill(c.Status),
			Detail: c.StatusDetail, Tested: v.maybeAt(c.LastTestedAt),
			Used: v.maybeAt(c.LastUsedAt)})
	}
	if after != nil {
		view.Pages.First = connectionsPath
	}
	if next != nil {
		view.Pages.Next = connectionsPath + "?" + url.Values{"cursor": {d.sealCursor(l, next)}}.Encode()
	}
	return d.render(w, v, status, "connection_list", layout{Title: "DNS connections",
		Section: "settings", Tab: "connections", Flash: d.takeFlash(w, v), Page: view})
}

// addConnection tests credentials, and adds a connection.
func (d *Dashboard) addConnection(w http.ResponseWriter, v *visit) error {
	form, credentials, err := submittedConnection(v, connectionsPath, "Test and add")
	if err != nil {
		return err
	}
	form.Naming = true
	c, err := d.lifecycle.CreateConnection(v.Context(), d.actor(v), v.org.ID,
		form.connection(credentials))
	if err == nil {
		if c.Status == controlplane.ConnectionOK {
			d.setFlash(w, "connection-added")
		} else {
			d.setFlash(w, "connection-untested")
		}
		http.Redirect(w, v.Request, connectionURL(c.ID), http.StatusSeeOther)
		return nil
	}
	if !form.setErrors(err) {
		return err
	}
	status, _ := statusOf(controlplane.AsError(err))
	return d.showConnections(w, v, status, form)
}

func connectionURL(id string) string { return connectionsPath + "/" + id }

// connectionPill returns the pill of the result of a test.
func connectionPill(s controlplane.ConnectionStatus) pill {
	switch s {
	case controlplane.ConnectionOK:
		return pill{"ok", "check", "Works"}
	case controlplane.ConnectionUnreachable:
		return pill{"warn", "alert", "Unreachable"}
	}
	return pill{"danger", "cross", "Invalid"}
}

// connectionTypeTitle returns the type of a connection, as pages show it.
func connectionTypeTitle(t controlplane.ConnectionType) string {
	if t == controlplane.ConnectionRFC2136 {
		return "Name server (RFC 2136)"
	}
	return string(t)
}
