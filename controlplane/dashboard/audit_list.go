package dashboard

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// auditList is the audit log with its filters. A cursor is valid for one auditList only.
type auditList struct {
	Org    string
	Action string
	Actor  string // a member's login, or an ID
	About  string // a domain's name, or an ID
	Since  string // a date in UTC
	Until  string // a date in UTC, inclusive
}

// actionGroup has the actions on one kind of object, as options of the filter.
type actionGroup struct {
	Label   string
	Actions []choice
}

func newAuditList(orgID string, q url.Values) auditList {
	return auditList{Org: orgID, Action: q.Get("action"), Actor: strings.TrimSpace(q.Get("actor")),
		About: strings.TrimSpace(q.Get("about")), Since: q.Get("since"), Until: q.Get("until")}
}

// check returns an error for an invalid filter.
func (l auditList) check() error {
	if _, ok := controlplane.ActionOf(l.Action); !ok && l.Action != "" {
		return invalidFilter("Unknown action.")
	}
	for _, day := range []string{l.Since, l.Until} {
		if _, err := time.Parse(time.DateOnly, day); err != nil && day != "" {
			return invalidFilter("Invalid date. Use the format 2026-01-31.")
		}
	}
	return nil
}

// filter returns the store's filter without the actor and the object, which need a lookup.
func (l auditList) filter() postgres.LogFilter {
	f := postgres.LogFilter{Action: l.Action, Limit: entriesPerPage}
	if day, err := time.Parse(time.DateOnly, l.Since); err == nil {
		f.Since = &day
	}
	if day, err := time.Parse(time.DateOnly, l.Until); err == nil {
		day = day.AddDate(0, 0, 1)
		f.Until = &day
	}
	return f
}

// url returns the URL of this list at a cursor.
func (l auditList) url(cursor string) string {
	return withQuery(auditURL, queryOf(map[string]string{"action": l.Action, "actor": l.Actor,
		"about": l.About,
		"since": l.Since, "until": l.Until, "cursor": cursor}))
}

// actions returns the options of the action filter, grouped by object and sorted by label.
func (l auditList) actions() []actionGroup {
	kinds := map[string][]choice{}
	for _, a := range controlplane.Actions() {
		kinds[a.Kind()] = append(kinds[a.Kind()],
			choice{Value: a.Action, Label: a.Title, Selected: a.Action == l.Action})
	}
	groups := make([]actionGroup, 0, len(kinds))
	for kind, choices := range kinds {
		slices.SortFunc(choices, func(a, b choice) int { return cmp.Compare(a.Label, b.Label) })
		groups = append(groups, actionGroup{plain(kind), choices})
	}
	slices.SortFunc(groups, func(a, b actionGroup) int { return cmp.Compare(a.Label, b.Label) })
	return groups
}

// exports returns links to the API's exports with this filter. The API accepts the session cookie.
func exports(f postgres.LogFilter) []exportLink {
	q := queryOf(map[string]string{"action": f.Action, "actor": f.ActorID,
		"entity": cmp.Or(f.DomainID, f.EntityID)})
	for k, at := range map[string]*time.Time{"since": f.Since, "until": f.Until} {
		if at != nil {
			q.Set(k, at.Format(time.RFC3339))
		}
	}
	link := func(word, format string) exportLink {
		q.Set("format", format)
		return exportLink{word, "/api/audit-logs/export?" + q.Encode()}
	}
	return []exportLink{link("Export CSV", "csv"), link("Export NDJSON", "ndjson")}
}
