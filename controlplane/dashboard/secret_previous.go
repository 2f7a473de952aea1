package dashboard

import (
	"net/http"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// previousSecret is a previous secret of a token or webhook that is still valid.
type previousSecret struct {
	Prefix string
	Until  moment
}

// previousSecrets returns the previous secrets that are valid, the last to expire first.
func (v *visit) previousSecrets(all controlplane.Secrets) []previousSecret {
	var out []previousSecret
	for _, s := range all.Previous(v.now) {
		out = append(out, previousSecret{s.Prefix, v.at(*s.ValidUntil)})
	}
	return out
}

// revokePreviousTokenSecrets revokes the previous secrets of a token.
func (d *Dashboard) revokePreviousTokenSecrets(w http.ResponseWriter, v *visit) error {
	t, err := d.token(v)
	if err != nil {
		return err
	}
	if err := d.lifecycle.RevokePreviousSecrets(v.Context(), d.actor(v), v.org.ID,
		t.ID); err != nil {
		return err
	}
	d.setFlash(w, "previous-revoked")
	http.Redirect(w, v.Request, tokenURL(t.ID), http.StatusSeeOther)
	return nil
}

// revokePreviousWebhookSecrets revokes the previous secrets of a webhook.
func (d *Dashboard) revokePreviousWebhookSecrets(w http.ResponseWriter, v *visit) error {
	hook, err := d.webhook(v)
	if err != nil {
		return err
	}
	if err := d.lifecycle.RevokePreviousWebhookSecrets(v.Context(), d.actor(v), v.org.ID,
		hook.ID); err != nil {
		return err
	}
	d.setFlash(w, "previous-revoked")
	http.Redirect(w, v.Request, webhookURL(hook.ID), http.StatusSeeOther)
	return nil
}
