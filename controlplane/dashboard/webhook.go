package dashboard

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// deliveriesPerPage is the number of rows on a page of the list.
const deliveriesPerPage = 25

// webhookView is the data for templates/webhook.html.
type webhookView struct {
	URL          string
	Address      string
	Description  string
	Pill         pill
	Summary      string
	FailingSince moment // start of the failures
	Facts        []fact
	Events       []string
	Created      moment
	Creator      string           // empty if unknown
	Previous     []previousSecret // deliveries are also signed with them
	Samples      []verifySample
	Chips        []chip
	Rows         []deliveryRow
	Filtered     bool
	Pages        pagesView
	MayChange    bool
	Edit         *webhookForm
	Redeliver    *rangeForm // nil if the webhook is disabled
}

// webhookPage shows a webhook and its deliveries.
func (d *Dashboard) webhookPage(w http.ResponseWriter, v *visit) error {
	hook, err := d.webhook(v)
	if err != nil {
		return err
	}
	return d.showWebhook(w, v, http.StatusOK, hook, editWebhookForm(hook), v.rangeForm())
}

// webhook returns the webhook in the URL.
func (d *Dashboard) webhook(v *visit) (*controlplane.Webhook, error) {
	id := mux.Vars(v.Request)["webhook"]
	if !controlplane.IsID(controlplane.PrefixWebhook, id) {
		return nil, controlplane.NotFound("webhook", id)
	}
	return d.store.Webhook(v.Context(), v.org.ID, id)
}

// showWebhook responds with a webhook's page and its forms.
func (d *Dashboard) showWebhook(
	w http.ResponseWriter, v *visit, status int, hook *controlplane.Webhook, edit *webhookForm,
	again *rangeForm,
) error {
	l := deliveryList{Org: v.org.ID, Webhook: hook.ID, Status: v.URL.Query().Get("status")}
	if err := l.check(); err != nil {
		return err
	}
	after, err := d.openCursor(l, v.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	deliveries, next, err := d.store.ListDeliveries(v.Context(), v.org.ID, hook.ID,
		postgres.DeliveryFilter{Status: controlplane.DeliveryStatus(l.Status), After: after,
			Limit: deliveriesPerPage})
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
	if view.Rows, err = d.deliveryRows(v, deliveries); err != nil {
		return err
	}
	if after != nil {
		view.Pages.First = l.url("")
	}
	if next != nil {
		view.Pages.Next = l.url(d.sealCursor(l, next))
	}
	if view.MayChange {
		view.Edit = edit
		if hook.Enabled {
			view.Redeliver = again
			view.Redeliver.Action = view.URL + "/redeliver"
		}
	}
	return d.render(w, v, status, "webhook", layout{Title: view.Address,
		Section: "webhooks", Flash: d.takeFlash(w, v), Page: view})
}

func (v *visit) webhookView(hook *controlplane.Webhook) webhookView {
	view := webhookView{URL: webhookURL(hook.ID), Address: shortAddress(hook.URL),
		Description: hook.Description, Pill: webhookPill(hook),
		Summary: webhookSummary(hook), Created: v.at(hook.CreatedAt),
		Samples: verifySamples(hook.URL), MayChange: v.may(controlplane.ScopeWebhooksWrite),
		Previous: v.previousSecrets(hook.Secrets),
		Facts: []fact{{Name: "URL", Value: hook.URL, Mono: true, Copy: true},
			{Name: "ID", Value: hook.ID, Mono: true, Copy: true}}}
	for _, t := range hook.Events {
		view.Events = append(view.Events, eventTitle(t))
	}
	if hook.Enabled {
		view.FailingSince = v.maybeAt(hook.FailingSince)
	}
	return view
}

// webhookSummary returns a sentence about the webhook's status.
func webhookSummary(hook *controlplane.Webhook) string {
	switch {
	case !hook.Enabled && hook.DisabledReason == controlplane.WebhookGone:
		return "Disabled because the receiver responded with 410 Gone. When it is available again, enable the webhook and redeliver the missed events."
	case !hook.Enabled && hook.DisabledReason == controlplane.WebhookFailing:
		return "Disabled because no attempt succeeded for five days. When the receiver is available again, enable the webhook and redeliver the missed events."
	case !hook.Enabled:
		return "No events are sent until you enable the webhook."
	case hook.FailingSince != nil:
		return "The last attempt failed. Each event is attempted up to ten times in three days; after five days without a success, the webhook is disabled."
	}
	return "Events are sent immediately, signed according to Standard Webhooks."
}

// changeWebhook saves the changes in the form.
func (d *Dashboard) changeWebhook(w http.ResponseWriter, v *visit) error {
	hook, err := d.webhook(v)
	if err != nil {
		return err
	}
	form, err := submittedWebhookForm(v)
	if err != nil {
		return err
	}
	form.Action, form.Button = webhookURL(hook.ID), "Save"
	if !form.checkEvents() {
		return d.showWebhook(w, v, http.StatusUnprocessableEntity, hook, form, v.rangeForm())
	}
	err = d.store.InTx(v.Context(), func(t *postgres.Tx) (err error) {
		hook, err = t.LockWebhook(v.Context(), v.org.ID, hook.ID)
		return err
	})
	if err != nil {
		return err
	}
	if e := form.edit(hook); e.stale(v) {
		return d.showConflict(w, v, e)
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

// deleteWebhook deletes a webhook and its deliveries.
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

// testWebhook sends a test event and redirects to the page of its delivery.
func (d *Dashboard) testWebhook(w http.ResponseWriter, v *visit) error {
	hook, err := d.webhook(v)
	if err != nil {
		return err
	}
	delivery, err := d.lifecycle.TestWebhook(v.Context(), d.actor(v), v.org.ID, hook.ID)
	if err != nil {
		return err
	}
	d.setFlash(w, "webhook-test")
	http.Redirect(w, v.Request, deliveryURL(delivery), http.StatusSeeOther)
	return nil
}
