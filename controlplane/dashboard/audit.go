package dashboard

import (
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	auditURL = "/settings/audit"

	// entriesPerPage is how many entries a page of the audit log has.
	entriesPerPage = 50
)

// auditView is what templates/audit.html shows.
type auditView struct {
	List        auditList
	Actions     []actionGroup
	ActorError  string
	AboutError  string
	Rows        []entryView
	First, Next string // addresses of pages; empty where there are none
	Filtered    bool
	Exports     []exportLink
	Kept        int // days
	Tier        string
}

// exportLink leads to everything that the filters let through.
type exportLink struct{ Label, URL string }

// auditPage shows the organization's log, newest first.
func (d *Dashboard) auditPage(w http.ResponseWriter, v *visit) error {
	l := auditListOf(v.org.ID, v.URL.Query())
	if err := l.check(); err != nil {
		return err
	}
	view := auditView{List: l, Actions: l.actions(), Filtered: l != auditList{Org: l.Org}, Kept: int(v.org.Tier.LogKept() / (24 * time.Hour)), Tier: string(v.org.Tier)}
	filter := l.filter()
	var err error
	if filter.ActorID, err = d.actorID(v, l.Actor); controlplane.IsKind(err, controlplane.KindNotFound) {
		view.ActorError = "This organization has no member of this name. Of who has left, or of a token, take the id."
	} else if err != nil {
		return err
	}
	if filter.DomainID, filter.EntityID, err = d.aboutID(v, l.About); controlplane.IsKind(err, controlplane.KindNotFound) {
		view.AboutError = "This organization has no domain of this name. Of what was deleted, take the id."
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
		view.First = l.url("")
	}
	if next != nil {
		view.Next = l.url(d.sealCursor(l, next))
	}
	if len(entries) > 0 {
		view.Exports = exports(filter)
	}
	return d.showAudit(w, v, http.StatusOK, view)
}

func (d *Dashboard) showAudit(w http.ResponseWriter, v *visit, status int, view auditView) error {
	return d.render(w, v, status, "audit", layout{Title: "Audit log", Section: "settings", Tab: "audit", Page: view})
}

// actorID returns whom the filter means: by an id, a part of the program, or a member's login.
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

// isActor reports whether that is an actor's id.
func isActor(id string) bool {
	_, ok := systemActors[id]
	return ok || controlplane.IsID(controlplane.PrefixUser, id) || controlplane.IsID(controlplane.PrefixToken, id)
}

// aboutID returns what the filter means: a domain, by id or name, with all that is its, or
// another object by its id. Both may be deleted where it is an id.
func (d *Dashboard) aboutID(v *visit, about string) (domainID, entityID string, err error) {
	if about == "" || controlplane.IsID(controlplane.PrefixDomain, about) {
		return about, "", nil
	}
	for _, prefix := range []string{controlplane.PrefixJob, controlplane.PrefixCertificate, controlplane.PrefixToken, controlplane.PrefixOrganization,
		controlplane.PrefixUser, controlplane.PrefixWebhook} {
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

// entryViews returns what is shown of entries, with names in the place of ids.
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
