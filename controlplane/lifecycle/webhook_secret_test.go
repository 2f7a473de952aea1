package lifecycle_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// signedWith adds a domain, delivers its event, and checks which secrets verify the request.
func (w *world) signedWith(r *receiver, hook *controlplane.Webhook, name string, good,
	bad []string,
) {
	w.t.Helper()
	w.add(name)
	all := w.deliveries(hook)
	must(w.t, w.deliver(&all[len(all)-1]))
	requests := r.all()
	m := requests[len(requests)-1]
	for _, secret := range good {
		if !m.verified(secret) {
			w.t.Errorf("%s: %s does not verify %v", name, secret, m.header)
		}
	}
	for _, secret := range append(bad, controlplane.NewWebhookSecret()) {
		if m.verified(secret) {
			w.t.Errorf("%s: %s verifies %v", name, secret, m.header)
		}
	}
	if n := len(strings.Fields(m.header.Get("webhook-signature"))); n != len(good) {
		w.t.Errorf("%s: %d signatures, want %d", name, n, len(good))
	}
}

// For a day after a rotation, both secrets verify the requests, and then only the new one. A second
// rotation does not change that.
func TestRotateWebhookSecret(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, first := w.hook(r, controlplane.ActionDomainCreated)
	rotate := func() string {
		rotated, secret, err := w.RotateWebhookSecret(t.Context(), alice, w.org, hook.ID)
		must(t, err)
		if rotated.Secrets.Prefix() != controlplane.WebhookSecretPrefix(secret) ||
			!rotated.Secrets.PreviousUntil(w.clock.Now()).Equal(w.clock.Now().Add(day)) ||
			w.last(hook.ID).Action != controlplane.ActionWebhookRotated {
			t.Errorf("RotateWebhookSecret = %s, want a new secret, and the previous one for a day",
				toJSON(rotated))
		}
		return secret
	}
	second := rotate()
	w.clock.set(start.Add(time.Hour))
	third := rotate()
	w.signedWith(r, hook, "a.example.com", []string{first, second, third}, nil)
	w.clock.set(start.Add(day - time.Second))
	w.signedWith(r, hook, "b.example.com", []string{first, second, third}, nil)
	w.clock.set(start.Add(day))
	w.signedWith(r, hook, "c.example.com", []string{second, third}, []string{first})
	w.clock.set(start.Add(day + time.Hour))
	w.signedWith(r, hook, "d.example.com", []string{third}, []string{first, second})
	must(t, w.Tidy(t.Context()))
	if n := value[int](w, `SELECT count(*) FROM webhook_secrets`); n != 1 {
		t.Errorf("%d stored secrets after the overlap, want 1", n)
	}
	if n := value[int](w, `SELECT count(*) FROM webhooks WHERE previous_sealed_secret IS NOT NULL`); n != 0 {
		t.Error("the previous secret is still stored for the previous version after the overlap")
	}
}

// A patch with the current secret changes nothing, and does not end the overlap of the previous
// one. A patch with a previous secret makes it the current one again.
func TestUpdateWebhookSecret(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, first := w.hook(r, controlplane.ActionDomainCreated)
	patch := func(secret string) error {
		_, err := w.UpdateWebhook(t.Context(), alice, w.org, hook.ID,
			lifecycle.WebhookPatch{Secret: &secret})
		return err
	}
	second := controlplane.NewWebhookSecret()
	must(t, patch(second))
	if e := w.last(hook.ID); e.Action != controlplane.ActionWebhookUpdated ||
		e.Details["secret_rotated"] != true {
		t.Errorf("last entry = %s, want webhook.updated with secret_rotated", toJSON(e))
	}
	w.changesNothing("UpdateWebhook with the current secret",
		func() error { return patch(second) })
	w.signedWith(r, hook, "a.example.com", []string{first, second}, nil)
	w.clock.set(start.Add(time.Hour))
	must(t, patch(first))
	if got := prefixes(w.webhook(hook.ID).Secrets); !slices.Equal(got,
		[]string{controlplane.WebhookSecretPrefix(first),
			controlplane.WebhookSecretPrefix(second)}) {
		t.Errorf("prefixes after the first secret was set again = %q, want it and the second", got)
	}
	w.changesNothing("UpdateWebhook with the first secret", func() error { return patch(first) })
	w.signedWith(r, hook, "b.example.com", []string{first, second}, nil)
	w.clock.set(start.Add(day + time.Hour))
	w.signedWith(r, hook, "c.example.com", []string{first}, []string{second})
	// An expired secret is new again, even before it is removed.
	must(t, patch(second))
	w.signedWith(r, hook, "d.example.com", []string{first, second}, nil)
}

// A webhook has at most five valid secrets. Revoking the previous ones makes room.
func TestRotateWebhookSecretUpToTheMaximum(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, first := w.hook(r, controlplane.ActionDomainCreated)
	last := ""
	for range controlplane.MaxSecrets - 1 {
		var err error
		_, last, err = w.RotateWebhookSecret(t.Context(), alice, w.org, hook.ID)
		must(t, err)
	}
	_, _, err := w.RotateWebhookSecret(t.Context(), alice, w.org, hook.ID)
	e := wantError(t, "a sixth secret", err, controlplane.KindConflict, "too-many-secrets")
	if !strings.Contains(e.Fix, "DELETE /api/webhooks/"+hook.ID+"/previous-secrets") {
		t.Errorf("fix = %q, want the path of the previous secrets", e.Fix)
	}
	other := controlplane.NewWebhookSecret()
	_, err = w.UpdateWebhook(t.Context(), alice, w.org, hook.ID,
		lifecycle.WebhookPatch{Secret: &other})
	wantError(t, "a sixth secret by PATCH", err, controlplane.KindConflict, "too-many-secrets")
	_, err = w.UpdateWebhook(t.Context(), alice, w.org, hook.ID,
		lifecycle.WebhookPatch{Secret: &first}) // it is one of the five
	must(t, err)
	revoke := func() error {
		return w.RevokePreviousWebhookSecrets(t.Context(), alice, w.org, hook.ID)
	}
	must(t, revoke())
	if e := w.last(hook.ID); e.Action != controlplane.ActionHookSecretsRevoked ||
		e.Details["revoked"] != 4.0 {
		t.Errorf("last entry = %s, want webhook.previous_secrets_revoked of 4", toJSON(e))
	}
	w.changesNothing("RevokePreviousWebhookSecrets again", revoke)
	w.signedWith(r, hook, "a.example.com", []string{first}, []string{last})
	err = w.RevokePreviousWebhookSecrets(t.Context(), alice, w.organization(1), hook.ID)
	wantError(t, "another organization's webhook", err, controlplane.KindNotFound, "not-found")
}

// A patch that sets what is already set changes nothing, in any state of the webhook.
func TestUpdateWebhookWithTheSame(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated, controlplane.ActionDomainDeleted)
	same := func(what string) {
		t.Helper()
		is := w.webhook(hook.ID)
		events := slices.Clone(is.Events)
		slices.Reverse(events)
		w.changesNothing(what, func() error {
			_, err := w.UpdateWebhook(t.Context(), alice, w.org, hook.ID,
				lifecycle.WebhookPatch{URL: &is.URL, Description: &is.Description, Events: &events,
					Enabled: &is.Enabled})
			return err
		})
	}
	same("UpdateWebhook of an enabled webhook")
	w.exec(`UPDATE webhooks SET failing_since = now()`)
	same("UpdateWebhook of a failing webhook")
	w.exec(`UPDATE webhooks SET enabled = false, disabled_reason = 'gone'`)
	same("UpdateWebhook of a disabled webhook")
}
