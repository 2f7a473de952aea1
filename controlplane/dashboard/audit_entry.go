package dashboard

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// entryView is one entry of the audit log.
type entryView struct {
	ID      string
	Title   string
	On      objectView
	Who     string
	WhoURL  string // the actor's entries; empty for an unknown actor
	At      moment
	IP      string
	Text    string // the error, or the reason for waiting
	Changes []changeView
	Details []fact
	Request fact
}

// objectView is the object of an entry.
type objectView struct {
	Name string
	URL  string // empty if it has no page or was deleted
}

// changeView is one property before and after.
type changeView struct{ Name, Before, After string }

func (v *visit) entryView(a *controlplane.AuditEntry, names names) entryView {
	view := entryView{ID: a.ID, Title: actionTitle(a.Action), On: v.objectView(a, names),
		Who: names.actor(a.Actor), At: v.at(a.CreatedAt), IP: a.Actor.IP,
		Text: entryText(a), Changes: changes(a.Before, a.After),
		Request: fact{Name: "request ID", Value: a.Actor.RequestID, Mono: true, Copy: true}}
	if isActor(a.Actor.ID) {
		view.WhoURL = auditList{Actor: a.Actor.ID}.url("")
	}
	for _, key := range slices.Sorted(maps.Keys(a.Details)) {
		if value := formatValue(a.Details[key]); value != "" && key != "detail" {
			view.Details = append(view.Details, fact{Name: plain(key), Value: value})
		}
	}
	return view
}

// objectView returns the name and the page of an entry's object.
func (v *visit) objectView(a *controlplane.AuditEntry, names names) objectView {
	at := func(id, url string) objectView {
		if name := names[id]; name != "" {
			return objectView{name, url}
		}
		return objectView{Name: cmp.Or(nameInEntry(a), id)}
	}
	if id := a.DomainID(); id != "" {
		return at(id, "/domains/"+id)
	}
	if id := webhookIDOf(a); id != "" {
		return at(id, "/webhooks/"+id)
	}
	switch a.EntityType {
	case "delegation", "acmedns_key":
		return objectView{Name: cmp.Or(nameInEntry(a), a.EntityID)}
	case "token":
		return at(a.EntityID, tokenURL(a.EntityID))
	case "member":
		return at(a.EntityID, "/settings/members")
	case "organization":
		return objectView{v.org.Name, "/settings/organization"}
	case "invitation", "session":
		return objectView{}
	}
	return objectView{Name: a.EntityID}
}

// nameInEntry returns the object's name as recorded in the entry, for deleted objects.
func nameInEntry(a *controlplane.AuditEntry) string {
	for _, key := range []string{"name", "host"} {
		for _, of := range []map[string]any{a.After, a.Before} {
			if name, _ := of[key].(string); name != "" {
				return name
			}
		}
	}
	return ""
}

// webhookIDOf returns the ID of the webhook that an entry is about, or "".
func webhookIDOf(a *controlplane.AuditEntry) string {
	if id, ok := a.Details["webhook_id"].(string); ok {
		return id
	}
	if a.EntityType == "webhook" {
		return a.EntityID
	}
	return ""
}

// changes returns the properties that differ, sorted by name.
func changes(before, after map[string]any) []changeView {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.Sort(keys)
	var all []changeView
	for _, key := range slices.Compact(keys) {
		if c := (changeView{plain(key), formatValue(before[key]),
			formatValue(after[key])}); c.Before != c.After {
			all = append(all, c)
		}
	}
	return all
}

// formatValue returns a JSON value of the log as text. Null is "".
func formatValue(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		words := make([]string, len(v))
		for i := range v {
			words[i] = formatValue(v[i])
		}
		return strings.Join(words, ", ")
	}
	b, _ := json.Marshal(v) // cannot fail: v was decoded from JSON
	return string(b)
}
