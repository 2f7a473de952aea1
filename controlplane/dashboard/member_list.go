package dashboard

import (
	"net/http"
	"net/url"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const membersPath = "/settings/members"

// peoplePerPage is the number of rows on a page of members or invitations.
const peoplePerPage = 50

// memberListView is the data for templates/member_list.html.
type memberListView struct {
	MayChange   bool
	Invite      inviteForm
	Link        *linkView // of a new invitation; may be nil
	Members     []memberRow
	MembersAt   pagesView
	Invitations []inviteRow
	InvitesAt   pagesView
	Sample      string
}

// memberRow is a row in the list of members.
type memberRow struct {
	Title, Name string // Name is empty if it equals Title
	URL         string // of the member's page
	Role        string
	State       pill // zero for an active member
	You         bool
	Since, Seen moment
	SeenText    string // instead of Seen, if that is unknown
}

// inviteRow is a row in the list of open invitations.
type inviteRow struct {
	Role, By         string
	Created, Expires moment
	Revoke           string // URL
}

// linkView is the link of a new invitation. It is shown once, and then its Value is empty.
type linkView struct {
	fact
	Role    string
	Expires moment
}

// peopleList is one of the page's lists. A cursor is valid for one list only.
type peopleList struct{ Org, List string }

func (d *Dashboard) membersPage(w http.ResponseWriter, v *visit) error {
	return d.showMembers(w, v, http.StatusOK, newInviteForm, nil)
}

// showMembers responds with the lists, the form to create an invitation, and the link of a new
// invitation if link is not nil.
func (d *Dashboard) showMembers(
	w http.ResponseWriter, v *visit, status int, form inviteForm, link *linkView,
) error {
	view := memberListView{MayChange: v.may(controlplane.ScopeMembersWrite), Invite: form,
		Link: link, Sample: d.linkTo(v, controlplane.InvitationPath("k3v7…q2"))}
	if err := d.listMembers(v, &view); err != nil {
		return err
	}
	if err := d.listInvitations(v, &view); err != nil {
		return err
	}
	return d.render(w, v, status, "member_list",
		layout{Title: "Members", Section: "settings", Tab: "members", Flash: d.takeFlash(w, v),
			Page: view})
}

func (d *Dashboard) listMembers(v *visit, view *memberListView) error {
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
		row := memberRow{Title: m.User.Title(), Role: string(m.Role),
			You: m.User.ID == v.session.User.ID, Since: v.at(m.Since), URL: memberURL(m.User.ID)}
		if m.User.Name != row.Title {
			row.Name = m.User.Name
		}
		row.Seen, row.SeenText = v.lastSeen(m, seen)
		if !m.Active() {
			row.State, row.SeenText = memberPill(m.State(v.now)), "Not yet a member"
		}
		view.Members = append(view.Members, row)
	}
	view.MembersAt = pagesView{Next: listAt("cursor", d.sealCursor(list, next))}
	if after != nil {
		view.MembersAt.First = membersPath
	}
	return nil
}

// lastSeen returns when a member was last seen, or a text if that is unknown. It is stored with
// the session and is unknown without one.
func (v *visit) lastSeen(m *controlplane.Member, seen map[string]time.Time) (moment, string) {
	switch at, ok := seen[m.User.ID]; {
	case ok:
		return v.at(at), ""
	case m.User.JoinedAt == nil:
		return moment{}, "Never signed in"
	}
	return moment{}, "Signed out"
}

func (d *Dashboard) listInvitations(v *visit, view *memberListView) error {
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
		view.Invitations = append(view.Invitations,
			inviteRow{Role: string(o.Role), By: names.creator(o.CreatedBy),
				Created: v.at(o.CreatedAt), Expires: v.at(o.ExpiresAt),
				Revoke: "/settings/invitations/" + o.ID + "/revoke"})
	}
	view.InvitesAt = pagesView{Next: listAt("invitations", d.sealCursor(list, next))}
	if after != nil {
		view.InvitesAt.First = membersPath + "#invitations"
	}
	return nil
}

// listAt returns the URL of the page with one list at a cursor, or "" without a cursor.
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

// linkTo returns the absolute URL of a path of the dashboard.
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
