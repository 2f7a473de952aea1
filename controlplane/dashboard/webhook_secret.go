package dashboard

import (
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// webhookSecretView is what templates/webhook_secret.html shows.
type webhookSecretView struct {
	URL, Address  string
	Title         string
	Secret        fact
	PreviousUntil moment // how long the secret before signs along; zero where there was none
}

// showSecret answers with a webhook's secret. It is on this page and no other.
func (d *Dashboard) showSecret(w http.ResponseWriter, v *visit, status int, hook *controlplane.Webhook, secret string) error {
	view := webhookSecretView{URL: webhookURL(hook.ID), Address: shortAddress(hook.URL), Title: "Webhook added",
		Secret: fact{Name: "Secret", Value: secret, Mono: true, Copy: true}}
	if hook.PreviousUntil != nil {
		view.Title, view.PreviousUntil = "A new secret", v.at(*hook.PreviousUntil)
	}
	return d.render(w, v, status, "webhook_secret", layout{Title: view.Title, Section: "webhooks", Page: view})
}

// rotateWebhook gives a webhook a new secret, and shows it this once.
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
