package dashboard

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// memberView is the data for templates/member.html. Only owners see it.
type memberView struct {
	Title     string
	URL       string
	Facts     []fact
	Since     moment
	Seen      moment
	SeenText  string
	You       bool
	LastOwner bool
	Roles     []roleChoice
	Form      memberForm
	Version   string // of the role

	Active    bool // otherwise the user is invited by login
	State     pill
	Inviter   string        // of an invitation
	Expires   moment        // of an invitation
	CanChange bool          // the invitation can still be accepted
	Tokens    []memberToken // tokens that a removal revokes
	Yours     []memberToken // tokens of the signed-in owner that a transfer to the member revokes
}

// memberForm has the input and errors of the page's forms. An empty role is the member's role.
type memberForm struct {
	Role                                  controlplane.Role
	RoleError, TransferError, RemoveError string
}

func (d *Dashboard) memberPage(w http.ResponseWriter, v *visit) error {
	m, err := d.member(v)
	if err != nil {
		return err
	}
	return d.showMember(w, v, http.StatusOK, m, memberForm{})
}

// member returns the member in the URL.
func (d *Dashboard) member(v *visit) (*controlplane.Member, error) {
	id := mux.Vars(v.Request)["member"]
	if !controlplane.IsID(controlplane.PrefixUser, id) {
		return nil, controlplane.NotFound("member", id)
	}
	return d.store.Member(v.Context(), v.org.ID, id)
}

// showMember responds with the page and its forms.
func (d *Dashboard) showMember(
	w http.ResponseWriter, v *visit, status int, m *controlplane.Member, form memberForm,
) error {
	last, err := d.isLastOwner(v, m.Role)
	if err != nil {
		return err
	}
	seen, err := d.store.LastSeen(v.Context(), v.org.ID, []string{m.User.ID})
	if err != nil {
		return err
	}
	if form.Role == "" {
		form.Role = m.Role
	}
	view := memberView{Title: m.User.Title(), URL: memberURL(m.User.ID), Since: v.at(m.Since),
		You: m.User.ID == v.session.User.ID, LastOwner: last, Roles: roleChoices(form.Role),
		Form: form, Version: versionOf(string(m.Role))}
	view.Seen, view.SeenText = v.lastSeen(m, seen)
	if err := d.showConsent(v, m, &view); err != nil {
		return err
	}
	if m.User.Name != "" {
		view.Facts = append(view.Facts, fact{Name: "Name", Value: m.User.Name})
	}
	view.Facts = append(view.Facts, fact{Name: "Role", Value: string(m.Role)},
		fact{Name: "ID", Value: m.User.ID, Mono: true, Copy: true})
	return d.render(w, v, status, "member", layout{Title: view.Title,
		Section: "settings", Tab: "members", Page: view})
}

// showConsent adds the state of the membership, and the tokens that a removal or a transfer
// revokes, to a member's page.
func (d *Dashboard) showConsent(v *visit, m *controlplane.Member, view *memberView) (err error) {
	state := m.State(v.now)
	view.Active, view.State, view.Expires = m.Active(), memberPill(state), v.maybeAt(m.ExpiresAt)
	view.CanChange = state == controlplane.MemberActive || state == controlplane.MemberPending
	if view.Active {
		if view.Tokens, err = d.memberTokens(v, m.User.ID); err != nil || view.You {
			return err
		}
		view.Yours, err = d.memberTokens(v, v.session.User.ID)
		view.Yours = slices.DeleteFunc(view.Yours,
			func(t memberToken) bool { return t.Role != string(controlplane.RoleOwner) })
		return err
	}
	names, err := d.names(v.Context(), v, []string{m.InvitedBy})
	view.Inviter = names.creator(m.InvitedBy)
	return err
}

// changeRole changes the member's role.
func (d *Dashboard) changeRole(w http.ResponseWriter, v *visit) error {
	m, err := d.member(v)
	if err != nil {
		return err
	}
	err = d.store.InTx(v.Context(), func(t *postgres.Tx) error {
		// as lifecycle does, in the same order
		if _, err := t.LockOrganization(v.Context(), v.org.ID); err != nil {
			return err
		}
		m, err = t.Member(v.Context(), v.org.ID, m.User.ID)
		return err
	})
	if err != nil {
		return err
	}
	form := memberForm{Role: controlplane.Role(v.PostForm.Get("role"))}
	e := edit{Object: m.User.Title(), EntityID: m.User.ID, URL: memberURL(m.User.ID),
		Section: "settings", Tab: "members", Current: versionOf(string(m.Role)),
		Fields: []editField{{"Role", string(form.Role), string(m.Role)}}}
	if e.stale(v) {
		return d.showConflict(w, v, &e)
	}
	_, err = d.lifecycle.SetRole(v.Context(), d.actor(v), v.grant(), v.org.ID, m.User.ID, form.Role,
		keepsTokens(v))
	if words, status := fieldError(err); words != "" {
		form.RoleError = words
		return d.showMember(w, v, status, m, form)
	}
	return d.redirectToMembers(w, v, "role", err)
}

// transferOwnership makes the member an owner and the signed-in user an admin, after the member's
// login was typed as confirmation.
func (d *Dashboard) transferOwnership(w http.ResponseWriter, v *visit) error {
	m, err := d.member(v)
	if err != nil {
		return err
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	if !strings.EqualFold(strings.TrimSpace(v.PostForm.Get("confirm")), m.User.Title()) {
		return d.showMember(w, v, http.StatusUnprocessableEntity, m,
			memberForm{TransferError: "The login does not match. Nothing was changed. Type " +
				m.User.Title() + "."})
	}
	_, err = d.lifecycle.TransferOwnership(v.Context(), d.actor(v), v.grant(), v.org.ID,
		v.session.User.ID, m.User.ID, keepsTokens(v))
	if words, status := fieldError(err); words != "" {
		return d.showMember(w, v, status, m, memberForm{TransferError: words})
	}
	return d.redirectToMembers(w, v, "transferred", err)
}

// removeMember ends the membership. For the signed-in user, it is the same as leaving.
func (d *Dashboard) removeMember(w http.ResponseWriter, v *visit) error {
	m, err := d.member(v)
	if err != nil {
		return err
	}
	if m.User.ID == v.session.User.ID {
		return d.leaveOrganization(w, v)
	}
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	err = d.lifecycle.RemoveMember(v.Context(), d.actor(v), v.grant(), v.org.ID, m.User.ID,
		keepsTokens(v))
	if words, status := fieldError(err); words != "" {
		return d.showMember(w, v, status, m, memberForm{RemoveError: words})
	}
	flash := "removed"
	if !m.Active() {
		flash = "uninvited"
	}
	return d.redirectToMembers(w, v, flash, err)
}

// keepsTokens reports whether the form says to keep the tokens of the member.
func keepsTokens(v *visit) bool { return v.PostForm.Get("tokens") == "keep" }

// redirectToMembers redirects to the list with a flash. If err is not nil, it only returns err.
func (d *Dashboard) redirectToMembers(
	w http.ResponseWriter, v *visit, flash string, err error,
) error {
	if err != nil {
		return err
	}
	d.setFlash(w, flash)
	http.Redirect(w, v.Request, membersPath, http.StatusSeeOther)
	return nil
}

func memberURL(userID string) string { return membersPath + "/" + userID }
