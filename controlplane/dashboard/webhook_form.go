package dashboard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// webhookForm is the form to add or change a webhook, with what was typed and what is wrong
// with it.
type webhookForm struct {
	Action, Button string
	URL            webhookField
	Description    webhookField
	All            bool
	Groups         []eventGroup
	EventsError    string
	Enabled        bool
	Error          string // about no field
	Open           bool
}

// webhookField is a field, with what is wrong with it.
type webhookField struct{ Value, Error string }

// eventGroup are the types of events that begin with one noun.
type eventGroup struct {
	Label  string
	Events []eventChoice
}

// eventChoice is a type of event, and whether it is chosen.
type eventChoice struct {
	Type, Label string
	Chosen      bool
}

func newWebhookForm() *webhookForm {
	return &webhookForm{Action: "/webhooks", Button: "Add webhook", All: true, Enabled: true, Groups: eventGroups(nil)}
}

// editWebhookForm is the form of a webhook that is there.
func editWebhookForm(hook *controlplane.Webhook) *webhookForm {
	return &webhookForm{Action: webhookURL(hook.ID), Button: "Save", URL: webhookField{Value: hook.URL}, Description: webhookField{Value: hook.Description},
		All: len(hook.Events) == 0, Groups: eventGroups(hook.Events), Enabled: hook.Enabled}
}

// webhookFormOf returns the form that was sent.
func webhookFormOf(v *visit) (*webhookForm, error) {
	if err := v.ParseForm(); err != nil {
		return nil, badForm(err)
	}
	form := newWebhookForm()
	form.URL.Value, form.Description.Value = trim(v.PostForm.Get("url")), trim(v.PostForm.Get("description"))
	form.All, form.Enabled = v.PostForm.Get("all") != "", v.PostForm.Get("enabled") != ""
	form.Groups, form.Open = eventGroups(v.PostForm["event"]), true
	return form, nil
}

// checkEvents makes sure that there is an event to send: to lifecycle, none are all.
func (f *webhookForm) checkEvents() bool {
	if !f.All && len(f.events()) == 0 {
		f.EventsError = "Choose the events to send, or all of them."
	}
	return f.EventsError == ""
}

// events returns the types that are chosen; nil for all.
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
	return lifecycle.NewWebhook{URL: f.URL.Value, Description: f.Description.Value, Events: f.events(), Enabled: f.Enabled}
}

// patch returns what the form changes of a webhook.
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

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// setErrors puts an error to the fields that it is about. It reports whether it is one that the
// form can show.
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

// Focus returns the id of the field that is looked at first.
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

// eventGroups returns all types of events by their noun, the chosen ones ticked.
func eventGroups(chosen []string) []eventGroup {
	var groups []eventGroup
	for _, t := range controlplane.EventTypes() {
		noun, _, _ := strings.Cut(t, ".")
		word := plain(noun) + "s"
		if len(groups) == 0 || groups[len(groups)-1].Label != word {
			groups = append(groups, eventGroup{Label: word})
		}
		g := &groups[len(groups)-1]
		g.Events = append(g.Events, eventChoice{Type: t, Label: actionWords[t], Chosen: slices.Contains(chosen, t)})
	}
	return groups
}

// eventsTitle says how many types of events a webhook is told of.
func eventsTitle(types []string) string {
	switch len(types) {
	case 0:
		return "All events"
	case 1:
		return eventTitle(types[0])
	}
	return fmt.Sprintf("%d events", len(types))
}

// eventTitle says what a type of event is of.
func eventTitle(t string) string {
	if t == controlplane.EventTest {
		return "Test"
	}
	if s, ok := actionWords[t]; ok {
		return s
	}
	return plain(t)
}
