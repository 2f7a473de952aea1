package dashboard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// webhookForm is the form to add or edit a webhook, with its input and errors.
type webhookForm struct {
	Action, Button string
	URL            webhookField
	Description    webhookField
	All            bool
	Groups         []eventGroup
	EventsError    string
	Enabled        bool
	Error          string // not about a field
	Open           bool
	Version        string // of the webhook to edit; empty in the form to add one
}

// webhookField is a field with its error.
type webhookField struct{ Value, Error string }

// eventGroup has the event types for one kind of object.
type eventGroup struct {
	Label  string
	Events []eventChoice
}

// eventChoice is an option for an event type.
type eventChoice struct {
	Type, Label string
	Chosen      bool
}

func newWebhookForm() *webhookForm {
	return &webhookForm{Action: "/webhooks", Button: "Add webhook", All: true, Enabled: true,
		Groups: eventGroups(nil)}
}

// editWebhookForm returns the form for an existing webhook.
func editWebhookForm(hook *controlplane.Webhook) *webhookForm {
	return &webhookForm{Action: webhookURL(hook.ID),
		Button: "Save", URL: webhookField{Value: hook.URL},
		Description: webhookField{Value: hook.Description},
		All:         len(hook.Events) == 0, Groups: eventGroups(hook.Events), Enabled: hook.Enabled,
		Version: webhookVersion(hook)}
}

// submittedWebhookForm returns the submitted form.
func submittedWebhookForm(v *visit) (*webhookForm, error) {
	if err := v.ParseForm(); err != nil {
		return nil, badForm(err)
	}
	form := newWebhookForm()
	form.URL.Value, form.Description.Value = strings.TrimSpace(v.PostForm.Get("url")),
		strings.TrimSpace(v.PostForm.Get("description"))
	form.All, form.Enabled = v.PostForm.Get("all") != "", v.PostForm.Get("enabled") != ""
	form.Groups, form.Open = eventGroups(v.PostForm["event"]), true
	form.Version = v.PostForm.Get(versionField)
	return form, nil
}

// checkEvents reports whether an event is selected. Lifecycle would treat no events as all events.
func (f *webhookForm) checkEvents() bool {
	if !f.All && len(f.events()) == 0 {
		f.EventsError = "Choose at least one event, or all events."
	}
	return f.EventsError == ""
}

// events returns the selected event types, or nil for all events.
func (f *webhookForm) events() []string {
	if f.All {
		return nil
	}
	var types []string
	for _, g := range f.Groups {
		for _, e := range g.Events {
			if e.Chosen {
				types = append(types, e.Type)
			}
		}
	}
	return types
}

func (f *webhookForm) webhook() lifecycle.NewWebhook {
	return lifecycle.NewWebhook{URL: f.URL.Value, Description: f.Description.Value,
		Events: f.events(), Enabled: f.Enabled}
}

// patch returns the changes to a webhook.
func (f *webhookForm) patch(hook *controlplane.Webhook) lifecycle.WebhookPatch {
	var p lifecycle.WebhookPatch
	if f.URL.Value != hook.URL {
		p.URL = &f.URL.Value
	}
	if f.Description.Value != hook.Description {
		p.Description = &f.Description.Value
	}
	if events := f.events(); !slices.Equal(sorted(events), sorted(hook.Events)) {
		p.Events = &events
	}
	if f.Enabled != hook.Enabled {
		p.Enabled = &f.Enabled
	}
	return p
}

// edit returns the changes to a webhook as a comparison.
func (f *webhookForm) edit(hook *controlplane.Webhook) *edit {
	return &edit{Object: shortAddress(hook.URL), EntityID: hook.ID, URL: webhookURL(hook.ID),
		Section: "webhooks", Current: webhookVersion(hook), Fields: []editField{
			{"URL", f.URL.Value, hook.URL},
			{"Description", f.Description.Value, hook.Description},
			{"Events", eventNames(f.events()), eventNames(hook.Events)},
			{"Enabled", yesNo(f.Enabled), yesNo(hook.Enabled)},
		}}
}

func webhookVersion(hook *controlplane.Webhook) string {
	return versionOf(hook.URL, hook.Description, sorted(hook.Events), hook.Enabled)
}

// eventNames returns the titles of event types as text, in a fixed order.
func eventNames(types []string) string {
	if len(types) == 0 {
		return "All events"
	}
	names := sorted(types)
	for i, t := range names {
		names[i] = eventTitle(t)
	}
	return strings.Join(names, ", ")
}

func yesNo(b bool) string {
	if b {
		return "Yes"
	}
	return "No"
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// setErrors assigns an error to its fields. It reports whether the form can show the error.
func (f *webhookForm) setErrors(err error) bool {
	e := controlplane.AsError(err)
	if e.Kind != controlplane.KindInvalid && e.Code != "plan-limit" {
		return false
	}
	fix := ""
	if len(e.Fields) <= 1 {
		fix = " " + fixFor(e)
	}
	if len(e.Fields) == 0 {
		f.Error = e.Message + fix
	}
	for _, field := range e.Fields {
		switch field.Pointer {
		case "/url":
			f.URL.Error = field.Detail + fix
		case "/description":
			f.Description.Error = field.Detail + fix
		default:
			f.EventsError = field.Detail + fix
		}
	}
	return true
}

// Focus returns the ID of the first field with an error, or "".
func (f *webhookForm) Focus() string {
	switch {
	case f.URL.Error != "":
		return "url"
	case f.Description.Error != "":
		return "description"
	case f.EventsError != "":
		return "all"
	}
	return ""
}

// eventGroups groups all event types by kind of object and marks the chosen ones.
func eventGroups(chosen []string) []eventGroup {
	var groups []eventGroup
	for _, t := range controlplane.EventTypes() {
		noun, _, _ := strings.Cut(t, ".")
		word := plain(noun) + "s"
		if len(groups) == 0 || groups[len(groups)-1].Label != word {
			groups = append(groups, eventGroup{Label: word})
		}
		g := &groups[len(groups)-1]
		g.Events = append(g.Events, eventChoice{Type: t, Label: actionTitle(t),
			Chosen: slices.Contains(chosen, t)})
	}
	return groups
}

// eventsTitle returns a summary of a webhook's event types.
func eventsTitle(types []string) string {
	switch len(types) {
	case 0:
		return "All events"
	case 1:
		return eventTitle(types[0])
	}
	return fmt.Sprintf("%d events", len(types))
}

// eventTitle returns the title of an event type.
func eventTitle(t string) string {
	if t == controlplane.EventTest {
		return "Test"
	}
	return actionTitle(t)
}
