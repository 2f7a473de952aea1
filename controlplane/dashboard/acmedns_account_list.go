package dashboard

import (
	"cmp"
	"net/http"
	"net/url"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

const (
	// acmeClientsPath is the path of the list of acme-dns accounts and registration keys.
	acmeClientsPath = "/settings/acme-clients"
	// accountPath is the path of the page of an acme-dns account.
	accountPath = acmeClientsPath + "/{account}"

	// acmednsPath is the path of the acme-dns API, which clients use with an account.
	acmednsPath = "/acmedns"

	accountsPerPage = 50
)

// acmednsListView is the data for templates/acmedns_account_list.html.
type acmednsListView struct {
	Used, Limit int // accounts
	Tier        string
	Add         *acmednsForm // nil if the user cannot add accounts
	Rows        []accountRow
	Sample      string // name at which values are served
	Pages       pagesView
	Keys        registrationKeys
}

// accountRow is a row in the list.
type accountRow struct {
	URL, Title string
	Name       string // at which its values are served
	Delegation string // whose target it uses; may be empty
	AllowFrom  []string
	Updates    string
	Used       moment
}

// accountList is the list of accounts. A cursor is valid for one organization only.
type accountList struct{ ACMEDNSAccounts string }

func (d *Dashboard) acmeClientsPage(w http.ResponseWriter, v *visit) error {
	return d.showACMEClients(w, v, http.StatusOK, nil)
}

// showACMEClients responds with the list. change sets the errors of its forms.
func (d *Dashboard) showACMEClients(
	w http.ResponseWriter, v *visit, status int, change func(*acmednsListView),
) error {
	l := accountList{v.org.ID}
	after, err := d.openCursor(l, v.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	accounts, next, err := d.store.ListACMEDNSAccounts(v.Context(), v.org.ID, after,
		accountsPerPage)
	if err != nil {
		return err
	}
	view := acmednsListView{Limit: v.org.Tier.ACMEDNSAccounts(), Tier: string(v.org.Tier),
		Sample: "mzxw6ytboi7gk3dpmjqxeylunfxw4idb." + d.lifecycle.Zone}
	if view.Used, err = d.store.ACMEDNSAccountCount(v.Context(), v.org.ID, ""); err != nil {
		return err
	}
	if view.Keys, err = d.registrationKeys(v); err != nil {
		return err
	}
	if v.may(controlplane.ScopeACMEDNSWrite) {
		view.Add = newACMEDNSForm()
		view.Add.Open = view.Used == 0
	}
	for i := range accounts {
		view.Rows = append(view.Rows, d.accountRow(v, &accounts[i]))
	}
	if after != nil {
		view.Pages.First = acmeClientsPath
	}
	if next != nil {
		view.Pages.Next = withQuery(acmeClientsPath, url.Values{"cursor": {d.sealCursor(l, next)}})
	}
	if change != nil {
		change(&view)
	}
	return d.render(w, v, status, "acmedns_account_list", layout{Title: "ACME clients",
		Section: "settings", Tab: "acme", Flash: d.takeFlash(w, v), Page: view})
}

func (d *Dashboard) accountRow(v *visit, a *controlplane.ACMEDNSAccount) accountRow {
	return accountRow{URL: accountURL(a.ID), Title: accountTitle(a), Name: d.fulldomain(a),
		Delegation: a.DelegationName, AllowFrom: a.AllowFrom,
		Updates: countText(int(a.Updates), int(a.Updates)), Used: v.maybeAt(a.LastUsedAt)}
}

// addAccount adds an account, and redirects to the page that shows its password once.
func (d *Dashboard) addAccount(w http.ResponseWriter, v *visit) error {
	form := newACMEDNSForm()
	form.submit(v)
	a, password, err := d.lifecycle.CreateACMEDNSAccount(v.Context(), d.actor(v), v.grant(),
		v.org.ID, lifecycle.NewACMEDNSAccount{Description: form.Description.Value,
			AllowFrom: form.networks()})
	if err == nil {
		return d.giveSecret(w, v, accountURL(a.ID)+"/password", password)
	}
	if !form.setErrors(err) {
		return err
	}
	status, _ := statusOf(controlplane.AsError(err))
	return d.showACMEClients(w, v, status, func(view *acmednsListView) { view.Add = form })
}

func accountURL(id string) string { return acmeClientsPath + "/" + id }

// accountTitle returns what pages call an account.
func accountTitle(a *controlplane.ACMEDNSAccount) string {
	return cmp.Or(a.Description, a.Username)
}

// fulldomain returns the name at which the values of an account are served.
func (d *Dashboard) fulldomain(a *controlplane.ACMEDNSAccount) string {
	return a.Target + "." + d.lifecycle.Zone
}
