package dashboard

import (
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// acmednsAccountView is the data for templates/acmedns_account.html.
type acmednsAccountView struct {
	URL, Title string
	Facts      []fact
	AllowFrom  []string
	Updates    string
	Used       moment
	Rotated    moment
	Created    moment
	Creator    string
	MayChange  bool
	Edit       *acmednsForm
	Attach     *attachForm
	Own        string // the account's own name
}

// attachForm is the form to let an account use the target of a delegation, with its input and
// error.
type attachForm struct {
	Action, Detach string
	Current        string // name of the delegation that it uses; may be empty
	Name           string
	Names          []string // of some delegations, to choose from
	MayChange      bool
	Version        string
	Error          string
}

// namesOffered is how many delegations the form offers.
const namesOffered = 100

// accountPage shows an acme-dns account.
func (d *Dashboard) accountPage(w http.ResponseWriter, v *visit) error {
	a, err := d.account(v)
	if err != nil {
		return err
	}
	return d.showAccount(w, v, http.StatusOK, a, nil)
}

// account returns the account in the URL.
func (d *Dashboard) account(v *visit) (*controlplane.ACMEDNSAccount, error) {
	id, err := accountID(v)
	if err != nil {
		return nil, err
	}
	return d.store.ACMEDNSAccount(v.Context(), v.org.ID, id)
}

// lockedAccount is account, with the row locked until the transaction of the form ends.
func (d *Dashboard) lockedAccount(v *visit) (a *controlplane.ACMEDNSAccount, err error) {
	id, err := accountID(v)
	if err != nil {
		return nil, err
	}
	err = d.store.InTx(v.Context(), func(t *postgres.Tx) error {
		a, err = t.LockACMEDNSAccount(v.Context(), v.org.ID, id)
		return err
	})
	return a, err
}

// accountID returns the ID of the account in the URL.
func accountID(v *visit) (string, error) {
	id := mux.Vars(v.Request)["account"]
	if !controlplane.IsID(controlplane.PrefixACMEDNS, id) {
		return "", controlplane.NotFound("acme-dns account", id)
	}
	return id, nil
}

// showAccount responds with the page of an account. change sets the errors of its forms.
func (d *Dashboard) showAccount(
	w http.ResponseWriter, v *visit, status int, a *controlplane.ACMEDNSAccount,
	change func(*acmednsAccountView),
) error {
	view := acmednsAccountView{URL: accountURL(a.ID), Title: accountTitle(a),
		Facts: []fact{{"Username", a.Username, true, true}, {"Subdomain", a.Subdomain, true, true},
			{"Values served at", d.fulldomain(a), true, true},
			{"Base URL", d.linkTo(v, acmednsPath), true, true}, {"ID", a.ID, true, true}},
		AllowFrom: a.AllowFrom, Updates: countText(int(a.Updates), int(a.Updates)),
		Used: v.maybeAt(a.LastUsedAt), Rotated: v.maybeAt(a.RotatedAt), Created: v.at(a.CreatedAt),
		MayChange: v.may(controlplane.ScopeACMEDNSWrite), Edit: editACMEDNSForm(a),
		Own: a.Subdomain + "." + d.lifecycle.Zone}
	var err error
	if view.Creator, err = d.accountCreator(v, a); err != nil {
		return err
	}
	if view.Attach, err = d.attachForm(v, a); err != nil {
		return err
	}
	if change != nil {
		change(&view)
	}
	return d.render(w, v, status, "acmedns_account", layout{Title: view.Title,
		Section: "settings", Tab: "acme", Flash: d.takeFlash(w, v), Page: view})
}

// attachForm returns the form to attach an account to a delegation or to detach it.
func (d *Dashboard) attachForm(v *visit, a *controlplane.ACMEDNSAccount) (*attachForm, error) {
	form := &attachForm{Action: accountURL(a.ID) + "/attach", Detach: accountURL(a.ID) + "/detach",
		Current: a.DelegationName, Version: versionOf(a.DelegationName),
		MayChange: v.may(controlplane.ScopeACMEDNSWrite) && v.may(controlplane.ScopeDomainsWrite)}
	if !form.MayChange {
		return form, nil
	}
	delegations, _, err := d.store.ListDelegations(v.Context(), v.org.ID,
		postgres.DelegationFilter{Sort: "name", Limit: namesOffered})
	for i := range delegations {
		form.Names = append(form.Names, delegations[i].Name)
	}
	return form, err
}

// accountCreator returns who created an account: a user, a token, or a client with a registration
// key.
func (d *Dashboard) accountCreator(v *visit, a *controlplane.ACMEDNSAccount) (string, error) {
	if a.KeyID != "" {
		k, err := d.store.ACMEDNSKey(v.Context(), v.org.ID, a.KeyID)
		if err == nil {
			return "a client with the registration key “" + k.Name + "”", nil
		}
		if !controlplane.IsKind(err, controlplane.KindNotFound) {
			return "", err
		}
	}
	if controlplane.IsID(controlplane.PrefixACMEDNSKey, a.CreatedBy) {
		return "a client with a registration key that was revoked", nil
	}
	names, err := d.names(v.Context(), v, []string{a.CreatedBy})
	return names.creator(a.CreatedBy), err
}

// changeAccount saves the description and the networks in the form.
func (d *Dashboard) changeAccount(w http.ResponseWriter, v *visit) error {
	a, err := d.lockedAccount(v)
	if err != nil {
		return err
	}
	form := editACMEDNSForm(a)
	stored := *form
	form.submit(v)
	networks := form.networks()
	if e := (&edit{Object: accountTitle(a), EntityID: a.ID, URL: accountURL(a.ID),
		Section: "settings", Tab: "acme", Current: accountVersion(a), Fields: []editField{
			{"Description", form.Description.Value, stored.Description.Value},
			{"Networks", strings.Join(networks, "\n"), stored.AllowFrom.Value},
		}}); e.stale(v) {
		return d.showConflict(w, v, e)
	}
	_, err = d.lifecycle.UpdateACMEDNSAccount(v.Context(), d.actor(v), v.grant(), v.org.ID, a.ID,
		lifecycle.ACMEDNSAccountPatch{Description: &form.Description.Value, AllowFrom: &networks})
	if err == nil {
		return d.toAccount(w, v, a.ID, "acme-saved")
	}
	if !form.setErrors(err) {
		return err
	}
	form.Version = v.PostForm.Get(versionField)
	status, _ := statusOf(controlplane.AsError(err))
	return d.showAccount(w, v, status, a, func(view *acmednsAccountView) { view.Edit = form })
}

// attachAccount makes an account use the target of the delegation in the form.
func (d *Dashboard) attachAccount(w http.ResponseWriter, v *visit) error {
	a, err := d.lockedAccount(v)
	if err != nil {
		return err
	}
	name := strings.TrimSpace(v.PostForm.Get("delegation"))
	if e := (&edit{Object: accountTitle(a), EntityID: a.ID, URL: accountURL(a.ID),
		Section: "settings", Tab: "acme", Current: versionOf(a.DelegationName),
		Fields: []editField{{"Name", name, a.DelegationName}}}); e.stale(v) {
		return d.showConflict(w, v, e)
	}
	if name == "" {
		err = controlplane.Invalid("/delegation_id", "delegation-unknown",
			"Enter a name that the organization manages.", "")
	} else {
		_, err = d.lifecycle.UpdateACMEDNSAccount(v.Context(), d.actor(v), v.grant(), v.org.ID,
			a.ID, lifecycle.ACMEDNSAccountPatch{Delegation: &name})
	}
	if err == nil {
		return d.toAccount(w, v, a.ID, "acme-attached")
	}
	text, status := fieldError(err)
	if text == "" {
		return err
	}
	return d.showAccount(w, v, status, a, func(view *acmednsAccountView) {
		view.Attach.Name, view.Attach.Error = name, text
		view.Attach.Version = v.PostForm.Get(versionField)
	})
}

// detachAccount makes an account use its own target again.
func (d *Dashboard) detachAccount(w http.ResponseWriter, v *visit) error {
	id, err := accountID(v)
	if err != nil {
		return err
	}
	own := ""
	if _, err := d.lifecycle.UpdateACMEDNSAccount(v.Context(), d.actor(v), v.grant(), v.org.ID, id,
		lifecycle.ACMEDNSAccountPatch{Delegation: &own}); err != nil {
		return err
	}
	return d.toAccount(w, v, id, "acme-detached")
}

// deleteAccount deletes an account with its values.
func (d *Dashboard) deleteAccount(w http.ResponseWriter, v *visit) error {
	id, err := accountID(v)
	if err != nil {
		return err
	}
	if err := d.lifecycle.DeleteACMEDNSAccount(v.Context(), d.actor(v), v.org.ID,
		id); err != nil {
		return err
	}
	d.setFlash(w, "acme-deleted")
	http.Redirect(w, v.Request, acmeClientsPath, http.StatusSeeOther)
	return nil
}

// toAccount redirects to the page of an account, which shows the flash.
func (d *Dashboard) toAccount(w http.ResponseWriter, v *visit, id, flash string) error {
	d.setFlash(w, flash)
	http.Redirect(w, v.Request, accountURL(id), http.StatusSeeOther)
	return nil
}
