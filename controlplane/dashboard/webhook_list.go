package dashboard

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// webhooksPerPage is the number of rows on a page of the list.
const webhooksPerPage = 50

// webhookListView is the data for templates/webhook_list.html.
type webhookListView struct {
	Used, Limit int
	Tier        string
	Add         *webhookForm // nil if the user cannot add webhooks
	Rows        []webhookRow
	Sample      pill
	Pages       pagesView
}

// webhookRow is a row in the list.
type webhookRow struct {
	URL         string
	Address     string
	Description string
	Events      string
	Pill        pill
	Reason      string // why it is disabled
	Last        *pill  // status of the last delivery; nil without deliveries
	LastAt      moment
}

// webhookList identifies the list in its cursors.
type webhookList struct{ Org, Of string }

func (d *Dashboard) webhooksPage(w http.ResponseWriter, v *visit) error {
	return d.showWebhooks(w, v, http.StatusOK, newWebhookForm())
}

// showWebhooks responds with the list and the form to add a webhook.
func (d *Dashboard) showWebhooks(
	w http.ResponseWriter, v *visit, status int, form *webhookForm,
) error {
	l := webhookList{Org: v.org.ID, Of: "webhooks"}
	after, err := d.openCursor(l, v.URL.Query().Get("cursor"))
	if err != nil {
		return err
	}
	hooks, next, err := d.store.ListWebhooks(v.Context(), v.org.ID, after, webhooksPerPage)
	if err != nil {
		return err
	}
	view := webhookListView{Limit: v.org.Tier.Webhooks(), Tier: string(v.org.Tier),
		Sample: pill{"ok", "check", "Enabled"}}
	if view.Used, err = d.store.WebhookCount(v.Context(), v.org.ID, ""); err != nil {
		return err
	}
	if v.may(controlplane.ScopeWebhooksWrite) {
		view.Add = form
		view.Add.Open = view.Add.Open || view.Used == 0
	}
	if view.Rows, err = d.webhookRows(v, hooks); err != nil {
		return err
	}
	if after != nil {
		view.Pages.First = "/webhooks"
	}
	if next != nil {
		view.Pages.Next = "/webhooks?" + url.Values{"cursor": {d.sealCursor(l, next)}}.Encode()
	}
	return d.render(w, v, status, "webhook_list",
		layout{Title: "Webhooks", Section: "webhooks", Flash: d.takeFlash(w, v), Page: view})
}

func (d *Dashboard) webhookRows(v *visit, hooks []controlplane.Webhook) ([]webhookRow, error) {
	ids := make([]string, len(hooks))
	for i := range hooks {
		ids[i] = hooks[i].ID
	}
	last, err := d.store.LastDeliveries(v.Context(), v.org.ID, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]webhookRow, len(hooks))
	for i := range hooks {
		hook := &hooks[i]
		rows[i] = webhookRow{URL: webhookURL(hook.ID), Address: shortAddress(hook.URL),
			Description: hook.Description,
			Events:      eventsTitle(hook.Events), Pill: webhookPill(hook),
			Reason: disabledReasons[hook.DisabledReason]}
		if delivery, ok := last[hook.ID]; ok {
			state := deliveryPill(&delivery)
			rows[i].Last, rows[i].LastAt = &state, v.at(delivery.UpdatedAt)
		}
	}
	return rows, nil
}

// addWebhook creates a webhook and redirects to the page that shows its secret once.
func (d *Dashboard) addWebhook(w http.ResponseWriter, v *visit) error {
	form, err := submittedWebhookForm(v)
	if err != nil {
		return err
	}
	if !form.checkEvents() {
		return d.showWebhooks(w, v, http.StatusUnprocessableEntity, form)
	}
	hook, secret, err := d.lifecycle.CreateWebhook(v.Context(), d.actor(v), v.org.ID,
		form.webhook())
	if err == nil {
		return d.giveWebhookSecret(w, v, hook, secret)
	}
	if !form.setErrors(err) {
		return err
	}
	status, _ := statusOf(controlplane.AsError(err))
	return d.showWebhooks(w, v, status, form)
}

func webhookURL(id string) string { return "/webhooks/" + id }

// shortAddress returns a URL without its query, which may contain a secret.
func shortAddress(address string) string {
	if short, _, ok := strings.Cut(address, "?"); ok {
		return short + "?…"
	}
	return address
}

// webhookPill returns the pill of a webhook's status.
func webhookPill(hook *controlplane.Webhook) pill {
	switch {
	case !hook.Enabled && hook.DisabledReason != "":
		return pill{"danger", "cross", "Disabled"}
	case !hook.Enabled:
		return pill{"neutral", "dot", "Disabled"}
	case hook.FailingSince != nil:
		return pill{"warn", "alert", "Failing"}
	}
	return pill{"ok", "check", "Enabled"}
}

// disabledReasons has the texts for automatically disabled webhooks.
var disabledReasons = map[string]string{
	controlplane.WebhookGone:    "Responded with 410 Gone",
	controlplane.WebhookFailing: "No attempt succeeded for five days",
}
