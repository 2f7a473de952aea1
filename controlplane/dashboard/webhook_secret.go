package dashboard

import (
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// webhookSecretView is the data for templates/webhook_secret.html.
type webhookSecretView struct {
	URL, Address  string
	Title         string
	Secret        fact
	PreviousUntil moment // until when previous secrets are also used; zero without one
}

// showSecret responds with the only page that shows a webhook's secret.
func (d *Dashboard) showSecret(
	w http.ResponseWriter, v *visit, status int, hook *controlplane.Webhook, secret string,
) error {
	view := webhookSecretView{URL: webhookURL(hook.ID), Address: shortAddress(hook.URL),
		Title:  "Webhook added",
		Secret: fact{Name: "Secret", Value: secret, Mono: true, Copy: true}}
	if until := hook.Secrets.PreviousUntil(v.now); until != nil {
		view.Title, view.PreviousUntil = "Secret rotated", v.at(*until)
	}
	return d.render(w, v, status, "webhook_secret", layout{Title: view.Title,
		Section: "webhooks", Page: view})
}

// rotateWebhook rotates a webhook's secret and shows the new one.
func (d *Dashboard) rotateWebhook(w http.ResponseWriter, v *visit) error {
	hook, err := d.webhook(v)
	if err != nil {
		return err
	}
	hook, secret, err := d.lifecycle.RotateWebhookSecret(v.Context(), d.actor(v), v.org.ID, hook.ID)
	if err != nil {
		return err
	}
	return d.showSecret(w, v, http.StatusOK, hook, secret)
}
