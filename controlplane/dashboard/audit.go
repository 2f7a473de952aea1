package dashboard

import (
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	auditURL = "/settings/audit"

	// entriesPerPage is the number of entries on a page of the audit log.
	entriesPerPage = 50
)

// auditView is the data for templates/audit.html.
type auditView struct {
	List       auditList
	Actions    []actionGroup
	ActorError string
	AboutError string
	Rows       []entryView
	Pages      pagesView
	Filtered   bool
	Exports    []exportLink
	Kept       int // days
	Tier       string
}

// exportLink is a link to export all entries that match the filter.
type exportLink struct{ Label, URL string }

// auditPage shows the organization's log, newest first.
func (d *Dashboard) auditPage(w http.ResponseWriter, v *visit) error {
	l := newAuditList(v.org.ID, v.URL.Query())
	if err := l.check(); err != nil {
		return err
	}
	view := auditView{List: l, Actions: l.actions(), Filtered: l != auditList{Org: l.Org},
		Kept: int(v.org.Tier.LogKept() / (24 * time.Hour)), Tier: string(v.org.Tier)}
	filter := l.filter()
	var err error
	if filter.ActorID, err = d.actorID(v, l.Actor); controlplane.IsKind(err,
		controlplane.KindNotFound) {
		view.ActorError = "No member with this login. For a former member or a token, enter the ID."
	} else if err != nil {
		return err
	}
	if filter.DomainID, filter.EntityID, err = d.aboutID(v, l.About); controlplane.IsKind(err,
		controlplane.KindNotFound) {
		view.AboutError = "No domain with this name. For a deleted object, enter the ID."
	} else if err != nil {
		return err
	}
	if view.ActorError != "" || view.AboutError != "" {
		return d.showAudit(w, v, http.StatusNotFound, view)
	}
	if filter.After, err = d.openCursor(l, v.URL.Query().Get("cursor")); err != nil {
		return err
	}
	entries, next, err := d.store.ListLog(v.Context(), v.org.ID, filter)
	if err != nil {
		return err
	}
	if view.Rows, err = d.entryViews(v, entries); err != nil {
		return err
	}
	if filter.After != nil {
		view.Pages.First = l.url("")
	}
	if next != nil {
		view.Pages.Next = l.url(d.sealCursor(l, next))
	}
	if len(entries) > 0 {
		view.Exports = exports(filter)
	}
	return d.showAudit(w, v, http.StatusOK, view)
}

func (d *Dashboard) showAudit(w http.ResponseWriter, v *visit, status int, view auditView) error {
	return d.render(w, v, status, "audit", layout{Title: "Audit log",
		Section: "settings", Tab: "audit", Page: view})
}

// actorID returns the actor ID for a filter value: an ID, the name of a system actor, or a
// member's login.
func (d *Dashboard) actorID(v *visit, actor string) (string, error) {
	if actor == "" || isActor(actor) {
		return actor, nil
	}
	if !controlplane.IsLogin(actor) {
		return "", controlplane.NotFound("member", actor)
	}
	m, err := d.store.Member(v.Context(), v.org.ID, actor)
	if err != nil {
		return "", err
	}
	return m.User.ID, nil
}

// isActor reports whether id is the ID of an actor.
func isActor(id string) bool {
	_, ok := systemActors[id]
	return ok || controlplane.IsID(controlplane.PrefixUser, id) ||
		controlplane.IsID(controlplane.PrefixToken, id)
}

// aboutID returns the domain ID or the entity ID for a filter value: the ID or name of a domain,
// which also matches everything that belongs to it, or the ID of another object. An ID may be of a
// deleted object.
func (d *Dashboard) aboutID(v *visit, about string) (domainID, entityID string, err error) {
	if about == "" || controlplane.IsID(controlplane.PrefixDomain, about) {
		return about, "", nil
	}
	for _, prefix := range []string{controlplane.PrefixJob, controlplane.PrefixCertificate,
		controlplane.PrefixToken, controlplane.PrefixOrganization,
		controlplane.PrefixUser, controlplane.PrefixWebhook, controlplane.PrefixDelegation,
		controlplane.PrefixACMEDNS, controlplane.PrefixACMEDNSKey} {
		if controlplane.IsID(prefix, about) {
			return "", about, nil
		}
	}
	domain, err := d.domainBy(v, about)
	if err != nil {
		return "", "", err
	}
	return domain.ID, "", nil
}

// entryViews returns the views of entries, with names instead of IDs.
func (d *Dashboard) entryViews(v *visit, entries []controlplane.AuditEntry) ([]entryView, error) {
	var ids []string
	for i := range entries {
		a := &entries[i]
		ids = append(ids, a.Actor.ID, a.EntityID, a.DomainID(), webhookIDOf(a))
	}
	names, err := d.names(v.Context(), v, ids)
	if err != nil {
		return nil, err
	}
	views := make([]entryView, len(entries))
	for i := range entries {
		views[i] = v.entryView(&entries[i], names)
	}
	return views, nil
}
