package dashboard

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// versionField is the name of the hidden field with the version of the object that a form edits.
const versionField = "version"

// versionOf returns the version of an object: a digest of the values that its form edits. It is
// the same again if somebody restores the values.
func versionOf(values ...any) string {
	body, _ := json.Marshal(values) // of strings and booleans only
	sum := sha256.Sum256(body)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// edit is a submitted form that edits an object.
type edit struct {
	Object   string // its name
	EntityID string // in the audit log
	URL      string // of the page with the form
	Section  string // in the navigation
	Tab      string
	Current  string // version of the object now
	Fields   []editField
}

// editField is a field of the form with the submitted and the stored value.
type editField struct{ Name, Mine, Current string }

// stale reports whether the object has changed since the form was rendered, and a value that the
// user would save differs from the stored one. A form without a version saves in any case.
//
// Lock the object first, so that it cannot change until the form is executed.
func (e *edit) stale(v *visit) bool {
	version := v.PostForm.Get(versionField)
	return version != "" && version != e.Current &&
		slices.ContainsFunc(e.Fields, func(f editField) bool { return f.Mine != f.Current })
}

// conflictView is the data for templates/form_conflict.html.
type conflictView struct {
	Object string
	URL    string // of the page with the form
	Action string
	Fields []conflictField
	Hidden []hiddenField // of the form that saves the submitted values
	Who    string        // empty if unknown
	At     moment
}

type conflictField struct {
	editField
	Differs bool
}

type hiddenField struct{ Name, Value string }

// showConflict responds with a comparison of the submitted and the stored values. The user keeps
// the stored ones, or saves the submitted ones over them.
func (d *Dashboard) showConflict(w http.ResponseWriter, v *visit, e *edit) error {
	view := conflictView{Object: e.Object, URL: e.URL, Action: v.URL.Path}
	for _, f := range e.Fields {
		view.Fields = append(view.Fields, conflictField{f, f.Mine != f.Current})
	}
	for _, name := range slices.Sorted(maps.Keys(v.PostForm)) {
		for _, value := range v.PostForm[name] {
			if name != versionField {
				view.Hidden = append(view.Hidden, hiddenField{name, value})
			}
		}
	}
	view.Hidden = append(view.Hidden, hiddenField{versionField, e.Current})
	if err := d.showEditor(v, e.EntityID, &view); err != nil {
		return err
	}
	return d.render(w, v, http.StatusPreconditionFailed, "form_conflict",
		layout{Title: "Changed in the meantime", Section: e.Section, Tab: e.Tab, Page: view})
}

// showEditor adds who made the last change, according to the audit log, for users who can read it.
func (d *Dashboard) showEditor(v *visit, entityID string, view *conflictView) error {
	if !v.may(controlplane.ScopeAuditRead) {
		return nil
	}
	entries, _, err := d.store.ListLog(v.Context(), v.org.ID,
		postgres.LogFilter{EntityID: entityID, Limit: 10})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(entries, func(a controlplane.AuditEntry) bool {
		return a.Before != nil && a.After != nil
	})
	if i < 0 {
		return nil
	}
	names, err := d.names(v.Context(), v, []string{entries[i].Actor.ID})
	view.Who, view.At = names.actor(entries[i].Actor), v.at(entries[i].CreatedAt)
	return err
}
