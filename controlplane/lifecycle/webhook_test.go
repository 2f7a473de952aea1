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
	in := lifecycle.NewWebhook{URL: "https://user-chosen.example.com:8443/hooks/hush?token=hush",
		Description: "ours", Enabled: true,
		Events: []string{controlplane.ActionRenewed, controlplane.ActionRenewed}}
	hook, secret, err := w.CreateWebhook(t.Context(), alice, w.org, in)
	must(t, err)
	if got := w.webhook(hook.ID); got.URL != in.URL || got.Description != "ours" ||
		!slices.Equal(got.Events, []string{controlplane.ActionRenewed}) || !got.Enabled ||
		len(got.Secrets) != 1 {
		t.Errorf("stored webhook = %s, want what was created", toJSON(got))
	}
	sealed, err := w.sealer.Open(w.webhook(hook.ID).Secrets[0].Sealed, hook.ID)
	if err != nil || string(sealed) != secret {
		t.Errorf("secret %q is not sealed: %v", sealed, err)
	}
	if key, err := controlplane.WebhookKey(secret); err != nil || len(key) != 32 {
		t.Errorf("generated key has %d bytes, error %v", len(key), err)
	}
	e := w.last(hook.ID)
	if e.Action != controlplane.ActionWebhookCreated || e.Actor != alice ||
		e.After["host"] != "user-chosen.example.com:8443" || strings.Contains(toJSON(e), "hush") {
		t.Errorf("last entry = %s, want webhook.created by alice with the host, without the secret",
			toJSON(e))
	}
	in.Secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	if _, secret, err = w.CreateWebhook(t.Context(), alice, w.org, in); err != nil ||
		secret != in.Secret {
		t.Errorf("CreateWebhook with a secret = %q, %v, want that secret", secret, err)
	}
}

func TestCreateWebhookListsEveryInvalidField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _, err := w.CreateWebhook(t.Context(), alice, w.org,
		lifecycle.NewWebhook{URL: "http://example.com", Description: strings.Repeat("ü", 201),
			Events: []string{controlplane.ActionRenewed, "domain.renewd"}, Secret: "whsec_hush"})
	e := wantError(t, "all fields invalid", err, controlplane.KindInvalid, "invalid-fields")
	if got := pointers(e); !slices.Equal(got,
		[]string{"/url webhook-url", "/description too-long", "/events/1 event-unknown",
			"/secret webhook-secret"}) {
		t.Errorf("invalid fields = %q, want URL, description, second event, and secret", got)
	}
	if !strings.Contains(e.Fields[2].Detail, "domain.renewed") ||
		strings.Contains(toJSON(e), "hush") {
		t.Errorf("error = %s, want the nearest event, and no secret", toJSON(e))
	}
	_, _, err = w.CreateWebhook(t.Context(), alice, w.org,
		lifecycle.NewWebhook{URL: "https://127.0.0.1/"})
	wantError(t, "loopback", err, controlplane.KindInvalid, "webhook-url")
}

// The plan's limit holds for concurrent requests.
func TestCreateWebhookUpToThePlansLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o, err := w.CreateOrganization(t.Context(), controlplane.System("test"),
		lifecycle.NewOrganization{Name: "x", Tier: controlplane.TierFree})
	must(t, err)
	const tries = 12
	errs := make(chan error, tries)
	for range tries {
		go func() {
			_, _, err := w.CreateWebhook(t.Context(), alice, o.ID,
				lifecycle.NewWebhook{URL: "https://example.com/", Enabled: true})
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
	if n, err := w.Store.WebhookCount(t.Context(), o.ID, ""); err != nil ||
		n != controlplane.TierFree.Webhooks() || made != n {
		t.Errorf("%d stored webhooks, %d created, error %v, want the limit of the plan", n, made,
			err)
	}
}

func TestUpdateWebhook(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	w.add("example.com")
	off, url, events := false, r.URL+"/other", []string{controlplane.ActionDNSVerified}
	got, err := w.UpdateWebhook(t.Context(), alice, w.org, hook.ID,
		lifecycle.WebhookPatch{Enabled: &off, URL: &url, Events: &events})
	must(t, err)
	if got.Enabled || got.DisabledReason != "" || got.URL != url ||
		!slices.Equal(got.Events, events) {
		t.Errorf("UpdateWebhook = %s, want it changed and disabled", toJSON(got))
	}
	if d := w.only(hook); d.Status != controlplane.DeliveryFailed ||
		w.jobOf(d).Status != controlplane.JobFailed {
		t.Errorf("delivery of the disabled webhook = %s, want it failed", toJSON(d))
	}
	bad := "ftp://example.com"
	_, err = w.UpdateWebhook(t.Context(), alice, w.org, hook.ID, lifecycle.WebhookPatch{URL: &bad})
	wantError(t, "invalid URL", err, controlplane.KindInvalid, "webhook-url")
	_, err = w.UpdateWebhook(t.Context(), alice, w.organization(1), hook.ID,
		lifecycle.WebhookPatch{Enabled: &off})
	wantError(t, "another organization", err, controlplane.KindNotFound, "not-found")
}

// A deleted webhook gets no deliveries, not even pending ones or one in progress.
func TestDeleteWebhook(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	other, _ := w.hook(r, controlplane.ActionWebhookDeleted)
	w.add("example.com")
	d := w.only(hook)
	w.add("pending.example.com")
	pending := &w.deliveries(hook)[0]
	if pending.ID == d.ID {
		pending = &w.deliveries(hook)[1]
	}
	waiting := w.jobOf(pending)
	came, answer := make(chan struct{}), make(chan struct{})
	r.does(func(http.ResponseWriter, *http.Request) { close(came); <-answer })
	j := w.jobOf(d)
	done := make(chan error)
	go func() { done <- w.RunJob(t.Context(), j.ID, j.Generation) }()
	soon(t, "the attempt", came)
	must(t, w.DeleteWebhook(t.Context(), alice, w.org, hook.ID))
	close(answer)
	must(t, soon(t, "the worker", done))
	_, err := w.Store.Delivery(t.Context(), w.org, hook.ID, d.ID)
	wantError(t, "delivery of a deleted webhook", err, controlplane.KindNotFound, "not-found")
	if err := w.RunJob(t.Context(), waiting.ID, waiting.Generation); err != nil ||
		w.jobOf(pending).Status != controlplane.JobFailed {
		t.Errorf("RunJob of a pending delivery = %v, with the job %+v, want it failed", err,
			w.jobOf(pending))
	}
	_, err = w.RemoveDeleted(t.Context())
	must(t, err)
	if n := value[int](w, `SELECT count(*) FROM jobs WHERE delivery_id = $1`, d.ID) +
		value[int](w, `SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1`,
			hook.ID); n != 0 {
		t.Errorf("%d rows are left, want 0", n)
	}
	if w.last(hook.ID).Action != controlplane.ActionWebhookDeleted ||
		len(w.deliveries(other)) != 1 {
		t.Errorf("last entry = %+v, want webhook.deleted, delivered to the other webhook",
			w.last(hook.ID))
	}
	must(t, w.RunJob(t.Context(), j.ID, j.Generation))
	wantError(t, "deleted webhook", w.DeleteWebhook(t.Context(), alice, w.org, hook.ID),
		controlplane.KindNotFound, "not-found")
}

// A disabled webhook's pending deliveries are abandoned, however many there are.
func TestDisableWebhookWithManyDeliveries(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	const n = 2001
	w.exec(`INSERT INTO audit_logs (id, org_id, actor_type, action, entity_type, entity_id, created_at)
		SELECT 'evt_' || to_char(i, 'FM0000000000'), $1, 'system', 'domain.created', 'domain', 'dom_x', $2 FROM generate_series(1, $3::int) i`,
		w.org, start, n)
	off := false
	_, err := w.UpdateWebhook(t.Context(), alice, w.org, hook.ID,
		lifecycle.WebhookPatch{Enabled: &off})
	must(t, err)
	if got := value[string](w, `SELECT d.status || ' ' || j.status || ' ' || j.reason || ' ' || count(*)
		FROM webhook_deliveries d JOIN jobs j ON j.delivery_id = d.id GROUP BY d.status, j.status, j.reason`); got != "failed failed webhook-disabled 2001" {
		t.Errorf("deliveries = %s, want all failed", got)
	}
	if p := len(r.all()); p != 0 {
		t.Errorf("%d deliveries were attempted, want 0", p)
	}
}

func TestTestWebhook(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, secret := w.hook(r, controlplane.ActionDomainCreated)
	_, err := w.UpdateWebhook(t.Context(), alice, w.org, hook.ID,
		lifecycle.WebhookPatch{Enabled: new(bool)})
	must(t, err)
	for n, code := range []int{http.StatusOK, http.StatusInternalServerError} {
		r.answers(code)
		d, err := w.TestWebhook(t.Context(), alice, w.org, hook.ID)
		must(t, err)
		must(t, w.deliver(d))
		got, err := w.Store.Delivery(t.Context(), w.org, hook.ID, d.ID)
		must(t, err)
		m := r.all()[n]
		if !m.verified(secret) || m.header.Get("webhook-id") != d.EventID ||
			d.EventType != controlplane.EventTest ||
			!bytes.Contains(m.body, []byte(`"type":"webhook.test"`)) ||
			bytes.Contains(m.body, []byte(alice.IP)) {
			t.Errorf("response %d: request %s, want a signed test event without an IP address",
				code, m.body)
		}
		if (got.Status == controlplane.DeliverySucceeded) != (code == http.StatusOK) ||
			got.Status == controlplane.DeliveryPending || got.Attempts != 1 ||
			w.jobOf(d).DeadLetteredAt != nil {
			t.Errorf("response %d: delivery %s, want one attempt and no dead letter", code,
				toJSON(got))
		}
		if n := value[int](w, `SELECT count(*) FROM audit_logs WHERE id = $1`, d.EventID); n != 0 {
			t.Error("a test event is in the audit log")
		}
	}
	if w.webhook(hook.ID).FailingSince != nil {
		t.Error("a failed test counts as a failure of the webhook")
	}
}

// A redelivery sends the same event with the same ID, and resets its attempts.
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
	if again.ID != d.ID || again.Status != controlplane.DeliveryPending ||
		!again.NextAttemptAt.Equal(w.clock.Now()) ||
		w.last(hook.ID).Action != controlplane.ActionWebhookRedelivered {
		t.Errorf("Redeliver = %s, want the same delivery, pending and due now", toJSON(again))
	}
	r.answers(http.StatusInternalServerError)
	if err := w.deliver(d); err == nil {
		t.Error("the delivery succeeded, want a failure")
	}
	// A pending delivery becomes due at once.
	r.answers(http.StatusOK)
	now := w.clock.Now()
	_, err = w.Redeliver(t.Context(), alice, w.org, hook.ID, d.ID)
	must(t, err)
	must(t, w.deliver(d))
	if got := w.only(hook); !w.clock.Now().Equal(now) ||
		got.Status != controlplane.DeliverySucceeded || got.Attempts != 3 ||
		len(w.attempts(d)) != 3 {
		t.Errorf("delivery = %s, want success after 3 attempts", toJSON(got))
	}
	sameMessage(t, r.all(), d.EventID)
	other, _ := w.hook(r)
	_, err = w.Redeliver(t.Context(), alice, w.org, other.ID, d.ID)
	wantError(t, "by another webhook", err, controlplane.KindNotFound, "not-found")
	_, err = w.Redeliver(t.Context(), alice, w.organization(1), hook.ID, d.ID)
	wantError(t, "by another organization", err, controlplane.KindNotFound, "not-found")
}

// After an outage the failed and pending events, and those from while the webhook was disabled, are
// delivered.
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
	_, err := w.UpdateWebhook(t.Context(), alice, w.org, hook.ID,
		lifecycle.WebhookPatch{Enabled: &off})
	must(t, err)
	w.add(names[2])
	_, _, err = w.RedeliverRange(t.Context(), alice, w.org, hook.ID, start, nil, false)
	wantError(t, "disabled webhook", err, controlplane.KindConflict, "webhook-disabled")
	_, err = w.UpdateWebhook(t.Context(), alice, w.org, hook.ID,
		lifecycle.WebhookPatch{Enabled: &on})
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
		t.Errorf("RedeliverRange = %d until %s, with %d requests", queued, until, len(r.all()))
	}
	w.clock.add(time.Second)
	if queued, _, err = w.RedeliverRange(t.Context(), alice, w.org, hook.ID, start, nil,
		false); err != nil || queued != 0 {
		t.Errorf("RedeliverRange after all succeeded = %d, %v, want 0", queued, err)
	}
	if queued, _, err = w.RedeliverRange(t.Context(), alice, w.org, hook.ID, start, nil,
		true); err != nil || queued != 4 || deliver() != 4 {
		t.Errorf("RedeliverRange(all) = %d, %v", queued, err)
	}
	ids := map[string]int{}
	for _, m := range r.all() {
		ids[m.header.Get("webhook-id")]++
	}
	if len(ids) != 4 || len(w.deliveries(hook)) != 4 {
		t.Errorf("events %v, want 4 different ones", ids)
	}
	// The first events, and then those from the returned time on.
	webhook := w.webhook(hook.ID)
	queued, until = w.range1(webhook, start)
	if queued != 1 || !until.Equal(start.Add(time.Minute)) {
		t.Errorf("RedeliverRange = %d until %s", queued, until)
	}
	for name, since := range map[string]time.Time{"range ends before it starts": w.clock.Now().Add(
		time.Second), "too old": w.clock.Now().Add(-31 * day)} {
		_, _, err := w.RedeliverRange(t.Context(), alice, w.org, hook.ID, since, nil, false)
		wantError(t, name, err, controlplane.KindInvalid, "range-invalid")
	}
}

// Deliveries are removed after 30 days with their jobs and attempts, except pending ones.
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
		t.Errorf("%d deliveries on the last day", n)
	}
	w.clock.add(time.Second)
	must(t, w.Tidy(t.Context()))
	if left := w.only(hook); left.ID != all[1].ID {
		t.Errorf("delivery = %s, want %s", toJSON(left), all[1].ID)
	}
	if n := value[int](w,
		`SELECT (SELECT count(*) FROM webhook_attempts) + (SELECT count(*) FROM jobs WHERE delivery_id = $1)`, all[0].ID); n != 0 {
		t.Errorf("%d rows are left, want 0", n)
	}
}

// Secrets are not stored in plain text, and are not in the audit log or the program's log.
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
	dump := value[string](w,
		`SELECT string_agg(r, E'\n') FROM (SELECT x::text r FROM webhooks x UNION ALL SELECT x::text FROM webhook_deliveries x
		UNION ALL SELECT x::text FROM webhook_attempts x UNION ALL SELECT x::text FROM audit_logs x UNION ALL SELECT x::text FROM jobs x) y`) + out.String()
	for _, s := range []string{old, secret} {
		if strings.Contains(dump, s) || strings.Contains(dump, strings.TrimPrefix(s, "whsec_")) {
			t.Error("the database contains a secret")
		}
	}
	if strings.Contains(out.String(), r.URL) {
		t.Error("the program's log contains a URL")
	}
}
