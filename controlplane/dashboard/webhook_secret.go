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
	Shown         bool   // the secret was shown before
	PreviousUntil moment // until when previous secrets are also used; zero without one
}

// webhookSecretPath is the path of the pages with a webhook's secrets.
const webhookSecretPath = webhookPath + "/secret"

// giveWebhookSecret redirects to the page that shows a webhook's new secret once.
func (d *Dashboard) giveWebhookSecret(
	w http.ResponseWriter, v *visit, hook *controlplane.Webhook, secret string,
) error {
	return d.giveSecret(w, v, webhookURL(hook.ID)+"/secret", secret)
}

// webhookSecretPage shows a webhook's new secret once.
func (d *Dashboard) webhookSecretPage(w http.ResponseWriter, v *visit) error {
	hook, err := d.webhook(v)
	if err != nil {
		return err
	}
	secret, err := d.takeSecret(v)
	if err != nil {
		return err
	}
	view := webhookSecretView{URL: webhookURL(hook.ID), Address: shortAddress(hook.URL),
		Title: "Webhook added", Shown: secret == "",
		Secret: fact{Name: "Secret", Value: secret, Mono: true, Copy: true}}
	if until := hook.Secrets.PreviousUntil(v.now); until != nil {
		view.Title, view.PreviousUntil = "Secret rotated", v.at(*until)
	}
	if view.Shown {
		view.Title = "Secret already shown"
	}
	return d.render(w, v, secretStatus(secret), "webhook_secret", layout{Title: view.Title,
		Section: "webhooks", Page: view})
}

// rotateWebhook rotates a webhook's secret and redirects to the page that shows the new one once.
func (d *Dashboard) rotateWebhook(w http.ResponseWriter, v *visit) error {
	hook, err := d.webhook(v)
	if err != nil {
		return err
	}
	hook, secret, err := d.lifecycle.RotateWebhookSecret(v.Context(), d.actor(v), v.org.ID, hook.ID)
	if err != nil {
		return err
	}
	return d.giveWebhookSecret(w, v, hook, secret)
}
