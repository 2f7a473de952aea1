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

// auditList is what of the log is asked for. A cursor is good for exactly one.
type auditList struct {
	Org    string
	Action string
	Actor  string // a member's login, or an id
	About  string // a domain's name, or an id
	Since  string // a day, of UTC
	Until  string // a day, of UTC, and all of it
}

// actionGroup are the actions of one kind of object, to choose one of.
type actionGroup struct {
	Label   string
	Actions []choice
}

func auditListOf(orgID string, q url.Values) auditList {
	return auditList{Org: orgID, Action: q.Get("action"), Actor: trim(q.Get("actor")), About: trim(q.Get("about")), Since: q.Get("since"), Until: q.Get("until")}
}

// check refuses what no link of ours asks for, rather than show a list that was not meant.
func (l auditList) check() error {
	bad := func(message string) error {
		return &controlplane.Error{Kind: controlplane.KindMalformed, Code: "filter-unknown", Message: message, Fix: "Begin at the whole log again."}
	}
	if _, ok := actionWords[l.Action]; !ok && l.Action != "" {
		return bad("The log records no such action.")
	}
	for _, day := range []string{l.Since, l.Until} {
		if _, err := time.Parse(time.DateOnly, day); err != nil && day != "" {
			return bad("A day is written as 2026-01-31.")
		}
	}
	return nil
}

// filter returns what the store is asked for, but for who and what.
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

// url returns the address of this list, at a cursor.
func (l auditList) url(cursor string) string {
	q := url.Values{}
	for k, v := range map[string]string{"action": l.Action, "actor": l.Actor, "about": l.About, "since": l.Since, "until": l.Until, "cursor": cursor} {
		if v != "" {
			q.Set(k, v)
		}
	}
	return strings.TrimSuffix(auditURL+"?"+q.Encode(), "?")
}

// actions are what can be chosen, by kind of object and in the order of their words.
func (l auditList) actions() []actionGroup {
	kinds := map[string][]choice{}
	for action, word := range actionWords {
		kind, _, _ := strings.Cut(action, ".")
		kinds[kind] = append(kinds[kind], choice{Value: action, Label: word, Selected: action == l.Action})
	}
	groups := make([]actionGroup, 0, len(kinds))
	for kind, choices := range kinds {
		slices.SortFunc(choices, func(a, b choice) int { return cmp.Compare(a.Label, b.Label) })
		groups = append(groups, actionGroup{plain(kind), choices})
	}
	slices.SortFunc(groups, func(a, b actionGroup) int { return cmp.Compare(a.Label, b.Label) })
	return groups
}

// exports returns where the API gives out all that a filter lets through: to who is signed in
// here, too.
func exports(f postgres.LogFilter) []exportLink {
	q := url.Values{}
	for k, v := range map[string]string{"action": f.Action, "actor": f.ActorID, "entity": cmp.Or(f.DomainID, f.EntityID)} {
		if v != "" {
			q.Set(k, v)
		}
	}
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
