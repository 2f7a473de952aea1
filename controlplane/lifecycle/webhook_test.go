package lifecycle_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

func TestCreateWebhook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := lifecycle.NewWebhook{URL: "https://user-chosen.example.com:8443/hooks/hush?token=hush", Description: "ours", Enabled: true,
		Events: []string{controlplane.ActionRenewed, controlplane.ActionRenewed}}
	hook, secret, err := w.CreateWebhook(t.Context(), alice, w.org, in)
	must(t, err)
	if got := w.webhook(hook.ID); got.URL != in.URL || got.Description != "ours" || !slices.Equal(got.Events, []string{controlplane.ActionRenewed}) || !got.Enabled || got.PreviousUntil != nil {
		t.Errorf("%s", toJSON(got))
	}
	sealed, err := w.sealer.Open(w.webhook(hook.ID).SealedSecret, hook.ID)
	if err != nil || string(sealed) != secret {
		t.Errorf("%q is sealed: %v", sealed, err)
	}
	if key, err := controlplane.WebhookKey(secret); err != nil || len(key) != 32 {
		t.Errorf("%d bytes, %v", len(key), err)
	}
	e := w.last(hook.ID)
	if e.Action != controlplane.ActionWebhookCreated || e.Actor != alice || e.After["host"] != "user-chosen.example.com:8443" || strings.Contains(toJSON(e), "hush") {
		t.Errorf("%s", toJSON(e))
	}
	in.Secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	if _, secret, err = w.CreateWebhook(t.Context(), alice, w.org, in); err != nil || secret != in.Secret {
		t.Errorf("a secret of one's own: %q, %v", secret, err)
	}
}

func TestCreateWebhookNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, err := w.CreateWebhook(t.Context(), alice, w.org, lifecycle.NewWebhook{URL: "http://example.com", Description: strings.Repeat("ü", 201),
		Events: []string{controlplane.ActionRenewed, "domain.renewd"}, Secret: "whsec_hush"})
	e := wantError(t, "everything wrong", err, controlplane.KindInvalid, "invalid-fields")
	if got := pointers(e); !slices.Equal(got, []string{"/url webhook-url", "/description description-too-long", "/events/1 event-unknown", "/secret webhook-secret"}) {
		t.Errorf("%q", got)
	}
	if !strings.Contains(e.Fields[2].Detail, "domain.renewed") || strings.Contains(toJSON(e), "hush") {
		t.Errorf("%s", toJSON(e))
	}
	_, _, err = w.CreateWebhook(t.Context(), alice, w.org, lifecycle.NewWebhook{URL: "https://127.0.0.1/"})
	wantError(t, "loopback", err, controlplane.KindInvalid, "webhook-url")
}

// The plan's limit holds however many come at once.
func TestCreateWebhookUpToThePlansLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o, err := w.CreateOrganization(t.Context(), controlplane.System("test"), lifecycle.NewOrganization{Name: "x", Tier: controlplane.TierFree})
	must(t, err)
	const tries = 12
	errs := make(chan error, tries)
	for range tries {
		go func() {
			_, _, err := w.CreateWebhook(t.Context(), alice, o.ID, lifecycle.NewWebhook{URL: "https://example.com/", Enabled: true})
			errs <- err
		}()
	}
	made := 0
	for range tries {
		if err := soon(t, "an answer", errs); err == nil {
			made++
		} else {
			wantError(t, "over the limit", err, controlplane.KindForbidden, "plan-limit")
		}
	}
	if n, err := w.Store.WebhookCount(t.Context(), o.ID); err != nil || n != controlplane.TierFree.Webhooks() || made != n {
		t.Errorf("%d webhooks of %d that were made, %v", n, made, err)
	}
}

// For a day both secrets verify what is sent, and then only the new one.
func TestRotateWebhookSecret(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, old := w.hook(r, controlplane.ActionDomainCreated)
	rotated, secret, err := w.RotateWebhookSecret(t.Context(), alice, w.org, hook.ID)
	must(t, err)
	if secret == old || !rotated.PreviousUntil.Equal(w.clock.Now().Add(day)) || w.last(hook.ID).Action != controlplane.ActionWebhookRotated {
		t.Errorf("%s", toJSON(rotated))
	}
	for i, at := range []time.Duration{day - time.Second, day} {
		w.clock.set(start.Add(at))
		w.add([]string{"a.example.com", "b.example.com"}[i])
		all := w.deliveries(hook)
		must(t, w.deliver(&all[len(all)-1]))
		m := r.all()[i]
		if !m.verified(secret) || m.verified(old) != (at < day) || m.verified(controlplane.NewWebhookSecret()) {
			t.Errorf("after %s: %v", at, m.header)
		}
	}
	must(t, w.Tidy(t.Context()))
	if got := w.webhook(hook.ID); got.PreviousSecret != nil || got.PreviousUntil != nil {
		t.Errorf("the old secret is kept: %s", toJSON(got))
	}
	mine := controlplane.NewWebhookSecret()
	_, err = w.UpdateWebhook(t.Context(), alice, w.org, hook.ID, lifecycle.WebhookPatch{Secret: &mine})
	must(t, err)
	w.add("c.example.com")
	all := w.deliveries(hook)
	must(t, w.deliver(&all[2]))
	if m := r.all()[2]; !m.verified(mine) || !m.verified(secret) {
		t.Errorf("%v", m.header)
	}
}

func TestUpdateWebhook(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	w.add("example.com")
	off, url, events := false, r.URL+"/other", []string{controlplane.ActionDNSVerified}
	got, err := w.UpdateWebhook(t.Context(), alice, w.org, hook.ID, lifecycle.WebhookPatch{Enabled: &off, URL: &url, Events: &events})
	must(t, err)
	if got.Enabled || got.DisabledReason != "" || got.URL != url || !slices.Equal(got.Events, events) {
		t.Errorf("%s", toJSON(got))
	}
	if d := w.only(hook); d.Status != controlplane.DeliveryFailed || w.jobOf(d).Status != controlplane.JobFailed {
		t.Errorf("what waits goes on: %s", toJSON(d))
	}
	bad := "ftp://example.com"
	_, err = w.UpdateWebhook(t.Context(), alice, w.org, hook.ID, lifecycle.WebhookPatch{URL: &bad})
	wantError(t, "a wrong address", err, controlplane.KindInvalid, "webhook-url")
	_, err = w.UpdateWebhook(t.Context(), alice, w.organization(1), hook.ID, lifecycle.WebhookPatch{Enabled: &off})
	wantError(t, "another organization", err, controlplane.KindNotFound, "not-found")
}

// Nothing goes out to a webhook that is deleted, whatever waits, or is under way.
func TestDeleteWebhook(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	other, _ := w.hook(r, controlplane.ActionWebhookDeleted)
	w.add("example.com")
	d := w.only(hook)
	came, answer := make(chan struct{}), make(chan struct{})
	r.does(func(http.ResponseWriter, *http.Request) { close(came); <-answer })
	j := w.jobOf(d)
	done := make(chan error)
	go func() { done <- w.RunJob(t.Context(), j.ID, j.Generation) }()
	soon(t, "the attempt", came)
	must(t, w.DeleteWebhook(t.Context(), alice, w.org, hook.ID))
	close(answer)
	must(t, soon(t, "the worker", done))
	if n := value[int](w, `SELECT count(*) FROM jobs WHERE delivery_id = $1`, d.ID) + value[int](w, `SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1`, hook.ID); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	if w.last(hook.ID).Action != controlplane.ActionWebhookDeleted || len(w.deliveries(other)) != 1 {
		t.Errorf("%+v", w.last(hook.ID))
	}
	must(t, w.RunJob(t.Context(), j.ID, j.Generation))
	wantError(t, "again", w.DeleteWebhook(t.Context(), alice, w.org, hook.ID), controlplane.KindNotFound, "not-found")
}

func TestTestWebhook(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, secret := w.hook(r, controlplane.ActionDomainCreated)
	_, err := w.UpdateWebhook(t.Context(), alice, w.org, hook.ID, lifecycle.WebhookPatch{Enabled: new(bool)})
	must(t, err)
	for n, code := range []int{http.StatusOK, http.StatusInternalServerError} {
		r.answers(code)
		d, err := w.TestWebhook(t.Context(), alice, w.org, hook.ID)
		must(t, err)
		must(t, w.deliver(d))
		got, err := w.Store.Delivery(t.Context(), w.org, hook.ID, d.ID)
		must(t, err)
		m := r.all()[n]
		if !m.verified(secret) || m.header.Get("webhook-id") != d.EventID || d.EventType != controlplane.EventTest || !bytes.Contains(m.body, []byte(`"type":"webhook.test"`)) || bytes.Contains(m.body, []byte(alice.IP)) {
			t.Errorf("%d: %s", code, m.body)
		}
		if (got.Status == controlplane.DeliverySucceeded) != (code == http.StatusOK) || got.Status == controlplane.DeliveryPending || got.Attempts != 1 || w.jobOf(d).DeadLetteredAt != nil {
			t.Errorf("%d: %s", code, toJSON(got))
		}
		if n := value[int](w, `SELECT count(*) FROM audit_logs WHERE id = $1`, d.EventID); n != 0 {
			t.Error("a test is in the log")
		}
	}
	if w.webhook(hook.ID).FailingSince != nil {
		t.Error("a test that failed counts")
	}
}

// The same event under the same id, with all attempts anew.
func TestRedeliver(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	w.add("example.com")
	d := w.only(hook)
	must(t, w.deliver(d))
	w.clock.add(time.Hour)
	again, err := w.Redeliver(t.Context(), alice, w.org, hook.ID, d.ID)
	must(t, err)
	if again.ID != d.ID || again.Status != controlplane.DeliveryPending || !again.NextAttemptAt.Equal(w.clock.Now()) || w.last(hook.ID).Action != controlplane.ActionWebhookRedelivered {
		t.Errorf("%s", toJSON(again))
	}
	r.answers(http.StatusInternalServerError)
	if err := w.deliver(d); err == nil {
		t.Error("it was delivered")
	}
	// One that waits comes at once.
	r.answers(http.StatusOK)
	now := w.clock.Now()
	_, err = w.Redeliver(t.Context(), alice, w.org, hook.ID, d.ID)
	must(t, err)
	must(t, w.deliver(d))
	if got := w.only(hook); !w.clock.Now().Equal(now) || got.Status != controlplane.DeliverySucceeded || got.Attempts != 3 || len(w.attempts(d)) != 3 {
		t.Errorf("%s", toJSON(got))
	}
	sameMessage(t, r.all(), d.EventID)
	other, _ := w.hook(r)
	_, err = w.Redeliver(t.Context(), alice, w.org, other.ID, d.ID)
	wantError(t, "by another webhook", err, controlplane.KindNotFound, "not-found")
	_, err = w.Redeliver(t.Context(), alice, w.organization(1), hook.ID, d.ID)
	wantError(t, "by another organization", err, controlplane.KindNotFound, "not-found")
}

// After an outage: what failed, what waits, and what came while the webhook was disabled.
func TestRedeliverRange(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	names := []string{"a.example.com", "b.example.com", "c.example.com", "d.example.com"}
	on, off := true, false
	w.add(names[0])
	must(t, w.deliver(w.only(hook)))
	w.clock.add(time.Minute)
	w.add(names[1])
	w.clock.add(time.Minute)
	_, err := w.UpdateWebhook(t.Context(), alice, w.org, hook.ID, lifecycle.WebhookPatch{Enabled: &off})
	must(t, err)
	w.add(names[2])
	_, _, err = w.RedeliverRange(t.Context(), alice, w.org, hook.ID, start, nil, false)
	wantError(t, "while it is disabled", err, controlplane.KindConflict, "webhook-disabled")
	_, err = w.UpdateWebhook(t.Context(), alice, w.org, hook.ID, lifecycle.WebhookPatch{Enabled: &on})
	must(t, err)
	w.clock.add(time.Minute)
	end := w.clock.Now()
	w.add(names[3])
	deliver := func() (n int) {
		for _, d := range w.deliveries(hook) {
			if d.Status == controlplane.DeliveryPending {
				must(t, w.deliver(&d))
				n++
			}
		}
		return n
	}
	queued, until, err := w.RedeliverRange(t.Context(), alice, w.org, hook.ID, start, &end, false)
	must(t, err)
	if queued != 2 || !until.Equal(end) || deliver() != 3 || len(r.all()) != 4 {
		t.Errorf("%d until %s, %d came", queued, until, len(r.all()))
	}
	w.clock.add(time.Second)
	if queued, _, err = w.RedeliverRange(t.Context(), alice, w.org, hook.ID, start, nil, false); err != nil || queued != 0 {
		t.Errorf("all was delivered, and %d are sent again: %v", queued, err)
	}
	if queued, _, err = w.RedeliverRange(t.Context(), alice, w.org, hook.ID, start, nil, true); err != nil || queued != 4 || deliver() != 4 {
		t.Errorf("all: %d, %v", queued, err)
	}
	ids := map[string]int{}
	for _, m := range r.all() {
		ids[m.header.Get("webhook-id")]++
	}
	if len(ids) != 4 || len(w.deliveries(hook)) != 4 {
		t.Errorf("%v", ids)
	}
	// The first ones, and from where they stop.
	webhook := w.webhook(hook.ID)
	queued, until = w.range1(webhook, start)
	if queued != 1 || !until.Equal(start.Add(time.Minute)) {
		t.Errorf("%d until %s", queued, until)
	}
	for what, since := range map[string]time.Time{"backwards": w.clock.Now().Add(time.Second), "too old": w.clock.Now().Add(-31 * day)} {
		_, _, err := w.RedeliverRange(t.Context(), alice, w.org, hook.ID, since, nil, false)
		wantError(t, what, err, controlplane.KindInvalid, "range-invalid")
	}
}

// Deliveries go after 30 days, with their jobs and attempts, but those that are still tried.
func TestTidyDeliveries(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	w.add("a.example.com")
	w.add("b.example.com")
	all := w.deliveries(hook)
	must(t, w.deliver(&all[0]))
	w.clock.set(start.Add(controlplane.DeliveriesKept))
	must(t, w.Tidy(t.Context()))
	if n := len(w.deliveries(hook)); n != 2 {
		t.Errorf("%d are left on the last day", n)
	}
	w.clock.add(time.Second)
	must(t, w.Tidy(t.Context()))
	if left := w.only(hook); left.ID != all[1].ID {
		t.Errorf("%s", toJSON(left))
	}
	if n := value[int](w, `SELECT (SELECT count(*) FROM webhook_attempts) + (SELECT count(*) FROM jobs WHERE delivery_id = $1)`, all[0].ID); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// Secrets are nowhere in clear: not in a row, in the log, or in what the program writes.
func TestWebhookSecretsStaySecret(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	var out bytes.Buffer
	w := newHooked(t, r, func(c *lifecycle.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	hook, old := w.hook(r)
	_, secret, err := w.RotateWebhookSecret(t.Context(), alice, w.org, hook.ID)
	must(t, err)
	r.answers(http.StatusInternalServerError)
	w.add("example.com")
	for _, d := range w.deliveries(hook) {
		_ = w.deliver(&d)
	}
	dump := value[string](w, `SELECT string_agg(r, E'\n') FROM (SELECT x::text r FROM webhooks x UNION ALL SELECT x::text FROM webhook_deliveries x
		UNION ALL SELECT x::text FROM webhook_attempts x UNION ALL SELECT x::text FROM audit_logs x UNION ALL SELECT x::text FROM jobs x) y`) + out.String()
	for _, s := range []string{old, secret} {
		if strings.Contains(dump, s) || strings.Contains(dump, strings.TrimPrefix(s, "whsec_")) {
			t.Error("a secret lies open")
		}
	}
	if strings.Contains(out.String(), r.URL) {
		t.Error("an address is in the program's log")
	}
}
