package dashboard

import (
	"net/http"
	"net/url"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const membersPath = "/settings/members"

// peoplePerPage is how many rows a page of members has, and one of invitations.
const peoplePerPage = 50

// membersView is what templates/member_list.html shows.
type membersView struct {
	MayChange   bool
	Invite      inviteForm
	Link        *linkView // of the invitation that was just made
	Members     []memberRow
	MembersAt   pagesView
	Invitations []inviteRow
	InvitesAt   pagesView
	Sample      string
}

// pagesView are the addresses of a list's further pages; empty where there are none.
type pagesView struct{ First, Next string }

// memberRow is one member in the list.
type memberRow struct {
	Title, Name string // the name where it says more
	URL         string // of the page to change the member
	Role        string
	State       pill // empty for an active member
	You         bool
	Since, Seen moment
	SeenText    string // where that is no time
}

// inviteRow is one open invitation in the list.
type inviteRow struct {
	Role, By         string
	Created, Expires moment
	Revoke           string // address
}

// linkView is an invitation's link, which is shown once.
type linkView struct {
	fact
	Role    string
	Expires moment
}

// peopleList is a list of people that is asked for. A cursor is good for exactly one.
type peopleList struct{ Org, List string }

func (d *Dashboard) membersPage(w http.ResponseWriter, v *visit) error {
	return d.showMembers(w, v, http.StatusOK, newInviteForm, nil)
}

// showMembers answers with the lists, the form to invite somebody as it stands, and the link
// of the invitation that was just made.
func (d *Dashboard) showMembers(w http.ResponseWriter, v *visit, status int, form inviteForm, link *linkView) error {
	view := membersView{MayChange: v.may(controlplane.ScopeMembersWrite), Invite: form, Link: link, Sample: d.linkTo(v, controlplane.InvitationPath("k3v7…q2"))}
	if err := d.listMembers(v, &view); err != nil {
		return err
	}
	if err := d.listInvitations(v, &view); err != nil {
		return err
	}
	return d.render(w, v, status, "member_list", layout{Title: "Members", Section: "settings", Tab: "members", Flash: d.takeFlash(w, v), Page: view})
}

func (d *Dashboard) listMembers(v *visit, view *membersView) error {
	list := peopleList{v.org.ID, "members"}
	after, err := d.openCursor(list, v.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	members, next, err := d.store.ListMembers(v.Context(), v.org.ID, after, peoplePerPage)
	if err != nil {
		return err
	}
	ids := make([]string, len(members))
	for i := range members {
		ids[i] = members[i].User.ID
	}
	seen, err := d.store.LastSeen(v.Context(), v.org.ID, ids)
	if err != nil {
		return err
	}
	for i := range members {
		m := &members[i]
		row := memberRow{Title: m.User.Title(), Role: string(m.Role), You: m.User.ID == v.session.User.ID, Since: v.at(m.Since), URL: memberURL(m.User.ID)}
		if m.User.Name != row.Title {
			row.Name = m.User.Name
		}
		row.Seen, row.SeenText = v.lastSeen(m, seen)
		if !m.Active() {
			row.State, row.SeenText = memberPill(m.State(v.now)), "Not a member yet"
		}
		view.Members = append(view.Members, row)
	}
	view.MembersAt = pagesView{Next: listAt("cursor", d.sealCursor(list, next))}
	if after != nil {
		view.MembersAt.First = membersPath
	}
	return nil
}

// lastSeen returns when a member was seen last, or why that is not known: it goes with the
// session.
func (v *visit) lastSeen(m *controlplane.Member, seen map[string]time.Time) (moment, string) {
	switch at, ok := seen[m.User.ID]; {
	case ok:
		return v.at(at), ""
	case m.User.JoinedAt == nil:
		return moment{}, "Has not signed in yet"
	}
	return moment{}, "Not signed in now"
}

func (d *Dashboard) listInvitations(v *visit, view *membersView) error {
	list := peopleList{v.org.ID, "invitations"}
	after, err := d.openCursor(list, v.URL.Query().Get("invitations"))
	if err != nil {
		return err
	}
	open, next, err := d.store.ListInvitations(v.Context(), v.org.ID, v.now, after, peoplePerPage)
	if err != nil {
		return err
	}
	ids := make([]string, len(open))
	for i := range open {
		ids[i] = open[i].CreatedBy
	}
	names, err := d.names(v.Context(), v, ids)
	if err != nil {
		return err
	}
	for i := range open {
		o := &open[i]
		view.Invitations = append(view.Invitations, inviteRow{Role: string(o.Role), By: names.creator(o.CreatedBy), Created: v.at(o.CreatedAt), Expires: v.at(o.ExpiresAt),
			Revoke: "/settings/invitations/" + o.ID + "/revoke"})
	}
	view.InvitesAt = pagesView{Next: listAt("invitations", d.sealCursor(list, next))}
	if after != nil {
		view.InvitesAt.First = membersPath + "#invitations"
	}
	return nil
}

// listAt returns the address of the lists with one of them at a cursor; empty without one.
func listAt(list, cursor string) string {
	if cursor == "" {
		return ""
	}
	to := membersPath + "?" + url.Values{list: {cursor}}.Encode()
	if list != "cursor" {
		to += "#" + list
	}
	return to
}

// linkTo returns a whole address of the dashboard, as people reach it.
func (d *Dashboard) linkTo(v *visit, path string) string {
	if d.config.PublicURL != "" {
		return d.config.PublicURL + path
	}
	scheme := "http"
	if d.config.Secure {
		scheme = "https"
	}
	return scheme + "://" + v.Host + path
}
