package dashboard

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const day = 24 * time.Hour

// inviteForm is the form to create an invitation, with its input and errors.
type inviteForm struct {
	Role      controlplane.Role
	RoleError string
	Days      string
	DaysError string
}

// newInviteForm is the form with its defaults.
var newInviteForm = inviteForm{Role: controlplane.RoleMember,
	Days: strconv.Itoa(int(controlplane.InvitationLife / day))}

// roleChoice is an option for the role.
type roleChoice struct {
	Role, Description string
	Chosen            bool
}

// Roles returns the options for the role. The template calls it.
func (f inviteForm) Roles() []roleChoice { return roleChoices(f.Role) }

// MaxDays returns the maximum lifetime of an invitation in days. The template calls it.
func (f inviteForm) MaxDays() int { return int(controlplane.InvitationMaxLife / day) }

func roleChoices(chosen controlplane.Role) []roleChoice {
	roles := []controlplane.Role{controlplane.RoleMember, controlplane.RoleAdmin,
		controlplane.RoleOwner}
	choices := make([]roleChoice, len(roles))
	for i, r := range roles {
		choices[i] = roleChoice{string(r), roleDescriptions[r], r == chosen}
	}
	return choices
}

// createInvitation creates an invitation and redirects to the page that shows its link once.
func (d *Dashboard) createInvitation(w http.ResponseWriter, v *visit) error {
	if err := v.ParseForm(); err != nil {
		return badForm(err)
	}
	form := inviteForm{Role: controlplane.Role(v.PostForm.Get("role")),
		Days: v.PostForm.Get("days")}
	days, err := strconv.Atoi(strings.TrimSpace(form.Days))
	if err != nil || days < 1 || days > form.MaxDays() {
		form.DaysError = "Enter a whole number of days from 1 to 30."
	}
	if !form.Role.Valid() {
		form.RoleError = "Choose one of the roles."
	}
	if form.DaysError+form.RoleError != "" {
		return d.showMembers(w, v, http.StatusUnprocessableEntity, form, nil)
	}
	_, secret, err := d.lifecycle.CreateInvitation(v.Context(), d.actor(v), v.grant(), v.org.ID,
		form.Role, time.Duration(days)*day)
	if err != nil {
		return err
	}
	return d.giveSecret(w, v, invitationLinkPath, secret)
}

// invitationLinkPath is the path of the pages with the links of invitations.
const invitationLinkPath = "/settings/invitation-links"

// invitationLinkPage shows the link of a new invitation once, above the list of invitations.
func (d *Dashboard) invitationLinkPage(w http.ResponseWriter, v *visit) error {
	secret, err := d.takeSecret(v)
	if err != nil {
		return err
	}
	link := &linkView{}
	if secret != "" {
		i, err := d.store.InvitationByHash(v.Context(), controlplane.HashSecret(secret), v.now)
		if controlplane.IsKind(err, controlplane.KindNotFound) {
			return invitationGone()
		}
		if err != nil {
			return err
		}
		link = &linkView{fact{Name: "invitation link",
			Value: d.linkTo(v, controlplane.InvitationPath(secret))}, string(i.Role),
			v.at(i.ExpiresAt)}
	}
	return d.showMembers(w, v, secretStatus(secret), newInviteForm, link)
}

// revokeInvitation revokes the invitation in the URL.
func (d *Dashboard) revokeInvitation(w http.ResponseWriter, v *visit) error {
	id := mux.Vars(v.Request)["invitation"]
	if !controlplane.IsID(controlplane.PrefixInvitation, id) {
		return controlplane.NotFound("invitation", id)
	}
	err := d.lifecycle.RevokeInvitation(v.Context(), d.actor(v), v.grant(), v.org.ID, id)
	return d.redirectToMembers(w, v, "invitation-revoked", err)
}
