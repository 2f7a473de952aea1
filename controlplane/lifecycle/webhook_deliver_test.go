package lifecycle_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

func TestDeliverSendsWhatTheLogSays(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, secret := w.hook(r, controlplane.ActionDomainCreated, controlplane.ActionCertificateIssued)
	d := w.active("example.com")
	all := w.deliveries(hook)
	if len(all) != 2 || all[0].EventType != controlplane.ActionDomainCreated || all[1].EventType != controlplane.ActionCertificateIssued {
		t.Fatalf("%s", toJSON(all))
	}
	for i := range all {
		must(t, w.deliver(&all[i]))
	}
	for i, m := range r.all() {
		var e struct {
			ID, Type       string
			Timestamp      time.Time
			OrganizationID string `json:"organization_id"`
			Actor          map[string]any
			Data           map[string]any
		}
		must(t, json.Unmarshal(m.body, &e))
		if !m.verified(secret) || m.header.Get("webhook-id") != all[i].EventID || e.ID != all[i].EventID || e.Type != all[i].EventType ||
			!e.Timestamp.Equal(all[i].CreatedAt) || e.OrganizationID != w.org || e.Data["domain_id"] != d.ID || e.Actor["ip"] != nil {
			t.Errorf("%v %s", m.header, m.body)
		}
		if strings.Contains(string(m.body), alice.IP) || strings.Contains(string(m.body), "PRIVATE KEY") {
			t.Errorf("it tells too much: %s", m.body)
		}
		got, err := w.Store.Delivery(t.Context(), w.org, hook.ID, all[i].ID)
		must(t, err)
		if got.Status != controlplane.DeliverySucceeded || got.Attempts != 1 || got.LastStatusCode != 204 || got.NextAttemptAt != nil || string(got.Body) != string(m.body) {
			t.Errorf("%s", toJSON(got))
		}
		wantJob(t, w.jobOf(got), controlplane.JobSucceeded, "", 0)
	}
	if len(r.all()) != 2 {
		t.Errorf("%d came", len(r.all()))
	}
}

// Only what was chosen goes out, to those who are enabled, of the organization itself.
func TestDeliverTellsWhoWantsToKnow(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	chosen, _ := w.hook(r, controlplane.ActionDomainDeleted)
	off, _ := w.hook(r)
	_, err := w.UpdateWebhook(t.Context(), alice, w.org, off.ID, lifecycle.WebhookPatch{Enabled: new(bool)})
	must(t, err)
	before := len(w.deliveries(off))
	theirs := w.organization(10)
	_, _, err = w.CreateWebhook(t.Context(), alice, theirs, lifecycle.NewWebhook{URL: r.URL, Enabled: true})
	must(t, err)
	w.add("example.com")
	if n := len(w.deliveries(chosen)); n != 0 {
		t.Errorf("%d to one that wants no such event", n)
	}
	if n := len(w.deliveries(off)) - before; n != 0 {
		t.Errorf("%d to one that is disabled", n)
	}
	if n := value[int](w, `SELECT count(*) FROM webhook_deliveries WHERE org_id = $1`, theirs); n != 0 {
		t.Errorf("%d to another organization", n)
	}
}

// An endpoint that is down for a day: the schedule runs, and the event comes in the end,
// always the same bytes under the same id.
func TestDeliverOutlastsADay(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.answers(http.StatusInternalServerError)
	w := newHooked(t, r)
	hook, secret := w.hook(r, controlplane.ActionDomainCreated)
	w.add("example.com")
	d := w.only(hook)
	began := w.clock.Now()
	var waits []time.Duration
	for w.clock.Now().Before(began.Add(day)) {
		err := w.deliver(d)
		later, ok := errors.AsType[*lifecycle.RetryLater](err)
		if !ok {
			t.Fatalf("after %s: %v", w.clock.Now().Sub(began), err)
		}
		waits = append(waits, later.After)
		got := w.only(hook)
		j := w.jobOf(d)
		if got.Status != controlplane.DeliveryPending || got.Attempts != len(waits) || !got.NextAttemptAt.Equal(j.RunAt) || j.Attempts != len(waits) || w.webhook(hook.ID).FailingSince == nil {
			t.Fatalf("%s, %s", toJSON(got), toJSON(j))
		}
		w.clock.set(j.RunAt)
	}
	want := []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour}
	for i, wait := range waits {
		if i >= len(want) || !near(wait, want[i]) {
			t.Errorf("waits %v, want about %v", waits, want)
			break
		}
	}
	r.answers(http.StatusOK)
	must(t, w.deliver(d))
	if got := w.only(hook); got.Status != controlplane.DeliverySucceeded || got.Attempts != len(waits)+1 || w.webhook(hook.ID).FailingSince != nil {
		t.Errorf("%s, failing since %v", toJSON(got), w.webhook(hook.ID).FailingSince)
	}
	all := r.all()
	sameMessage(t, all, d.EventID)
	attempts := w.attempts(d)
	if len(attempts) != len(all) {
		t.Fatalf("%d attempts are kept of %d", len(attempts), len(all))
	}
	for i, m := range all {
		a := attempts[i]
		if !m.verified(secret) || a.RequestHeaders["webhook-signature"] != m.header.Get("webhook-signature") || a.RequestHeaders["webhook-timestamp"] != m.header.Get("webhook-timestamp") || (a.Error == "") != (i == len(all)-1) {
			t.Errorf("attempt %d: %+v, %v", i, a, m.header)
		}
	}
}

func TestDeliverGivesUpAfterTenAttempts(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.answers(http.StatusBadGateway)
	w := newHooked(t, r)
	hook, _ := w.hook(r)
	other, _ := w.hook(r)
	w.add("example.com")
	var d controlplane.Delivery
	for _, x := range w.deliveries(hook) {
		if x.EventType == controlplane.ActionDomainCreated {
			d = x
		}
	}
	made, told := len(w.deliveries(hook)), len(w.deliveries(other))
	for n := 1; n < controlplane.DeliveryAttempts; n++ {
		if err := w.deliver(&d); err == nil {
			t.Fatal("it was delivered")
		}
	}
	err := w.deliver(&d)
	if _, ok := errors.AsType[*lifecycle.DeadLettered](err); !ok {
		t.Fatalf("the last attempt: %v", err)
	}
	j := w.jobOf(&d)
	wantJob(t, j, controlplane.JobFailed, "dead-lettered", controlplane.DeliveryAttempts)
	got, err := w.Store.Delivery(t.Context(), w.org, hook.ID, d.ID)
	must(t, err)
	if j.DeadLetteredAt == nil || got.Status != controlplane.DeliveryFailed || got.NextAttemptAt != nil || got.LastStatusCode != 502 || len(r.all()) != controlplane.DeliveryAttempts {
		t.Errorf("%s, %s after %d", toJSON(j), toJSON(got), len(r.all()))
	}
	if e := w.last(j.ID); e.Action != controlplane.ActionJobDeadLettered || e.Details["webhook_id"] != hook.ID || e.Details["delivery_id"] != d.ID {
		t.Errorf("%+v", e)
	}
	// What became of a delivery is delivered to nobody: it would never end.
	if len(w.deliveries(hook)) != made || len(w.deliveries(other)) != told {
		t.Errorf("%d and %d deliveries, before %d and %d", len(w.deliveries(hook)), len(w.deliveries(other)), made, told)
	}
	// A retry of the job sends it again.
	r.answers(http.StatusOK)
	if _, started, err := w.RestartJob(t.Context(), alice, w.org, j.ID); err != nil || !started {
		t.Fatal(started, err)
	}
	must(t, w.deliver(&d))
	if got, err = w.Store.Delivery(t.Context(), w.org, hook.ID, d.ID); err != nil || got.Status != controlplane.DeliverySucceeded || got.Attempts != controlplane.DeliveryAttempts+1 {
		t.Errorf("%s, %v", toJSON(got), err)
	}
	sameMessage(t, r.all(), d.EventID)
}

// 410 disables at once: what waits ends, and the other webhooks are told.
func TestDeliverDisablesWhatIsGone(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.answers(http.StatusGone)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	other, _ := w.hook(r, controlplane.ActionWebhookDisabled)
	w.add("a.example.com")
	w.add("b.example.com")
	all := w.deliveries(hook)
	must(t, w.deliver(&all[0]))
	got := w.webhook(hook.ID)
	if got.Enabled || got.DisabledReason != controlplane.WebhookGone {
		t.Fatalf("%s", toJSON(got))
	}
	for _, d := range w.deliveries(hook) {
		if d.Status != controlplane.DeliveryFailed || w.jobOf(&d).Status != controlplane.JobFailed || w.jobOf(&d).DeadLetteredAt != nil {
			t.Errorf("%s: %s", toJSON(d), toJSON(w.jobOf(&d)))
		}
	}
	if e := w.last(hook.ID); e.Action != controlplane.ActionWebhookDisabled || e.Details["reason"] != "gone" || strings.Contains(toJSON(e), "/hook") {
		t.Errorf("%s", toJSON(e))
	}
	if told := w.deliveries(other); len(told) != 1 || told[0].EventType != controlplane.ActionWebhookDisabled {
		t.Errorf("%s", toJSON(told))
	}
	w.add("c.example.com")
	if n := len(w.deliveries(hook)); n != 2 || len(r.all()) != 1 {
		t.Errorf("%d deliveries, %d came", n, len(r.all()))
	}
	_, err := w.Redeliver(t.Context(), alice, w.org, hook.ID, all[0].ID)
	wantError(t, "redelivering to one that is disabled", err, controlplane.KindConflict, "webhook-disabled")
	_, _, err = w.RestartJob(t.Context(), alice, w.org, w.jobOf(&all[0]).ID)
	wantError(t, "retrying its job", err, controlplane.KindConflict, "webhook-disabled")
}

func TestDeliverDisablesWhatFailsForFiveDays(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.answers(http.StatusServiceUnavailable)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	w.add("a.example.com")
	d := w.only(hook)
	for range controlplane.DeliveryAttempts - 1 {
		if err := w.deliver(d); err == nil {
			t.Fatal("it was delivered")
		}
	}
	since := *w.webhook(hook.ID).FailingSince
	for i, at := range []time.Duration{5*day - time.Minute, 5 * day} {
		w.clock.set(since.Add(at))
		w.add([]string{"b.example.com", "c.example.com"}[i])
		all := w.deliveries(hook)
		_ = w.deliver(&all[len(all)-1])
		if got := w.webhook(hook.ID); got.Enabled != (at < 5*day) || (got.DisabledReason == controlplane.WebhookFailing) == got.Enabled {
			t.Errorf("after %s: %s", at, toJSON(got))
		}
	}
	on := true
	got, err := w.UpdateWebhook(t.Context(), alice, w.org, hook.ID, lifecycle.WebhookPatch{Enabled: &on})
	must(t, err)
	if !got.Enabled || got.DisabledReason != "" || got.FailingSince != nil {
		t.Errorf("enabled again: %s", toJSON(got))
	}
}

func TestDeliverHonoursRetryAfterWithinADay(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	w.add("example.com")
	d := w.only(hook)
	for _, tt := range []struct {
		asked string
		want  time.Duration
	}{{"3600", time.Hour}, {"9999999", day}, {"1", 30 * time.Minute}} {
		r.does(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", tt.asked)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		later, ok := errors.AsType[*lifecycle.RetryLater](w.deliver(d))
		if !ok || !near(later.After, tt.want) {
			t.Errorf("asked for %s: %v", tt.asked, later)
		}
	}
}

// A worker that is killed amid an attempt, and two workers that have one task: the event
// comes under one id, and nothing is lost.
func TestDeliverSurvivesItsWorker(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	w.add("example.com")
	d := w.only(hook)
	came, killed := make(chan struct{}), make(chan struct{})
	r.does(func(_ http.ResponseWriter, q *http.Request) { close(came); <-q.Context().Done(); close(killed) })
	ctx, kill := context.WithCancel(t.Context())
	done := make(chan error)
	j := w.jobOf(d)
	go func() { done <- w.RunJob(ctx, j.ID, j.Generation) }()
	soon(t, "the attempt", came)
	must(t, w.RunJob(t.Context(), j.ID, j.Generation)) // another replica finds it held
	kill()
	must(t, soon(t, "the worker's end", done))
	soon(t, "the connection's end", killed)
	if got := w.only(hook); got.Status != controlplane.DeliveryPending || got.Attempts != 0 {
		t.Errorf("%s", toJSON(got))
	}
	r.answers(http.StatusOK)
	must(t, w.deliver(d))
	sameMessage(t, r.all(), d.EventID)
	if got := w.only(hook); got.Status != controlplane.DeliverySucceeded || len(r.all()) != 2 {
		t.Errorf("%s after %d", toJSON(got), len(r.all()))
	}
}

// Receivers that take their time do not take all the workers.
func TestDeliverLeavesWorkersToOthers(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r, func(c *lifecycle.Config) { c.Deliveries = 1 })
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	w.add("a.example.com")
	w.add("b.example.com")
	all := w.deliveries(hook)
	came, answer := make(chan struct{}), make(chan struct{})
	r.does(func(http.ResponseWriter, *http.Request) { close(came); <-answer })
	done := make(chan error)
	go func() { done <- w.deliver(&all[0]) }()
	soon(t, "the attempt", came)
	must(t, w.deliver(&all[1]))
	wantJob(t, w.jobOf(&all[1]), controlplane.JobQueued, "webhook-busy", 0)
	close(answer)
	must(t, soon(t, "the answer", done))
	r.answers(http.StatusOK)
	must(t, w.deliver(&all[1]))
	if n := len(r.all()); n != 2 {
		t.Errorf("%d came", n)
	}
}

// What is wrong on our side is not held against the receiver.
func TestDeliverOwnFailure(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	w.add("example.com")
	d := w.only(hook)
	w.exec(`UPDATE webhooks SET sealed_secret = 'damaged'`)
	later, ok := errors.AsType[*lifecycle.RetryLater](w.deliver(d))
	if got := w.only(hook); !ok || !near(later.After, 5*time.Second) || got.Attempts != 0 || w.webhook(hook.ID).FailingSince != nil || len(r.all()) != 0 {
		t.Errorf("%v, %s", later, toJSON(got))
	}
	for range controlplane.DeliveryAttempts - 1 {
		_ = w.deliver(d)
	}
	wantJob(t, w.jobOf(d), controlplane.JobFailed, "dead-lettered", controlplane.DeliveryAttempts)
	if got := w.only(hook); got.Status != controlplane.DeliveryFailed || strings.Contains(got.LastError, "seal") {
		t.Errorf("%s", toJSON(got))
	}
}
