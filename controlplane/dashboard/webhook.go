package dashboard

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// deliveriesPerPage is how many rows a page of the list has.
const deliveriesPerPage = 25

// webhookView is what templates/webhook.html shows.
type webhookView struct {
	URL           string
	Address       string
	Description   string
	Pill          pill
	Summary       string
	Since         moment // since when it fails
	Facts         []fact
	Events        []string
	Created       moment
	Creator       string // empty if unknown
	PreviousUntil moment // until when the secret before signs along
	Samples       []verifySample
	Chips         []chip
	Rows          []deliveryRow
	Filtered      bool
	First, Next   string // addresses of pages; empty where there are none
	MayChange     bool
	Edit          *webhookForm
	Redeliver     *rangeForm // nil while it is disabled
}

// webhookPage shows a webhook with its deliveries.
func (d *Dashboard) webhookPage(w http.ResponseWriter, v *visit) error {
	hook, err := d.webhook(v)
	if err != nil {
		return err
	}
	return d.showWebhook(w, v, http.StatusOK, hook, editWebhookForm(hook), v.rangeForm())
}

// webhook returns the webhook of the address.
func (d *Dashboard) webhook(v *visit) (*controlplane.Webhook, error) {
	id := mux.Vars(v.Request)["webhook"]
	if !controlplane.IsID(controlplane.PrefixWebhook, id) {
		return nil, controlplane.NotFound("webhook", id)
	}
	return d.store.Webhook(v.Context(), v.org.ID, id)
}

// showWebhook answers with a webhook's page and its forms as they stand.
func (d *Dashboard) showWebhook(w http.ResponseWriter, v *visit, status int, hook *controlplane.Webhook, edit *webhookForm, again *rangeForm) error {
	l := deliveryList{Org: v.org.ID, Webhook: hook.ID, Status: v.URL.Query().Get("status")}
	if err := l.check(); err != nil {
		return err
	}
	after, err := d.openCursor(l, v.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	deliveries, next, err := d.store.ListDeliveries(v.Context(), v.org.ID, hook.ID,
		postgres.DeliveryFilter{Status: controlplane.DeliveryStatus(l.Status), After: after, Limit: deliveriesPerPage})
	if err != nil {
		return err
	}
	view := v.webhookView(hook)
	if hook.CreatedBy != "" {
		names, err := d.names(v.Context(), v, []string{hook.CreatedBy})
		if err != nil {
			return err
		}
		view.Creator = names.creator(hook.CreatedBy)
	}
	view.Chips, view.Filtered = l.chips(), l.Status != ""
	for i := range deliveries {
		view.Rows = append(view.Rows, v.deliveryRow(&deliveries[i]))
	}
	if after != nil {
		view.First = l.url("")
	}
	if next != nil {
		view.Next = l.url(d.sealCursor(l, next))
	}
	if view.MayChange {
		view.Edit = edit
		if hook.Enabled {
			view.Redeliver = again
			view.Redeliver.Action = view.URL + "/redeliver"
		}
	}
	return d.render(w, v, status, "webhook", layout{Title: view.Address, Section: "webhooks", Flash: d.takeFlash(w, v), Page: view})
}

func (v *visit) webhookView(hook *controlplane.Webhook) webhookView {
	view := webhookView{URL: webhookURL(hook.ID), Address: shortAddress(hook.URL), Description: hook.Description, Pill: webhookPill(hook),
		Summary: webhookSummary(hook), Created: v.at(hook.CreatedAt), Samples: verifySamples(hook.URL), MayChange: v.may(controlplane.ScopeWebhooksWrite),
		Facts: []fact{{Name: "Address", Value: hook.URL, Mono: true, Copy: true}, {Name: "Id", Value: hook.ID, Mono: true, Copy: true}}}
	for _, t := range hook.Events {
		view.Events = append(view.Events, eventTitle(t))
	}
	if hook.Enabled {
		view.Since = v.maybeAt(hook.FailingSince)
	}
	if hook.PreviousUntil != nil && hook.PreviousUntil.After(v.now) {
		view.PreviousUntil = v.at(*hook.PreviousUntil)
	}
	return view
}

// webhookSummary says in a sentence what becomes of events.
func webhookSummary(hook *controlplane.Webhook) string {
	switch {
	case !hook.Enabled && hook.DisabledReason == controlplane.WebhookGone:
		return "It answered 410 Gone, so nothing is sent there any more. Enable it when it is back, and send again what it missed."
	case !hook.Enabled && hook.DisabledReason == controlplane.WebhookFailing:
		return "No attempt had succeeded for five days, so nothing is sent there any more. Enable it when it is back, and send again what it missed."
	case !hook.Enabled:
		return "Nothing is sent there until it is enabled."
	case hook.FailingSince != nil:
		return "The last attempt failed. Each event is tried ten times in three days; after five days without a success the webhook is disabled."
	}
	return "Events are sent as they happen, signed by Standard Webhooks."
}

// changeWebhook saves what the form of a webhook changes.
func (d *Dashboard) changeWebhook(w http.ResponseWriter, v *visit) error {
	hook, err := d.webhook(v)
	if err != nil {
		return err
	}
	form, err := webhookFormOf(v)
	if err != nil {
		return err
	}
	form.Action, form.Button = webhookURL(hook.ID), "Save"
	if !form.checkEvents() {
		return d.showWebhook(w, v, http.StatusUnprocessableEntity, hook, form, v.rangeForm())
	}
	if p := form.patch(hook); p != (lifecycle.WebhookPatch{}) {
		_, err = d.lifecycle.UpdateWebhook(v.Context(), d.actor(v), v.org.ID, hook.ID, p)
	}
	switch {
	case err == nil:
		d.setFlash(w, "webhook-saved")
		http.Redirect(w, v.Request, webhookURL(hook.ID), http.StatusSeeOther)
		return nil
	case form.setErrors(err):
		return d.showWebhook(w, v, http.StatusUnprocessableEntity, hook, form, v.rangeForm())
	}
	return err
}

// deleteWebhook removes a webhook with its deliveries.
func (d *Dashboard) deleteWebhook(w http.ResponseWriter, v *visit) error {
	hook, err := d.webhook(v)
	if err != nil {
		return err
	}
	if err := d.lifecycle.DeleteWebhook(v.Context(), d.actor(v), v.org.ID, hook.ID); err != nil {
		return err
	}
	d.setFlash(w, "webhook-deleted")
	http.Redirect(w, v.Request, "/webhooks", http.StatusSeeOther)
	return nil
}
