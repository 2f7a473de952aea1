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

func TestDeliverSendsAuditEntries(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, secret := w.hook(r, controlplane.ActionDomainCreated,
		controlplane.ActionCertificateIssued)
	d := w.active("example.com")
	all := w.deliveries(hook)
	if len(all) != 2 || all[0].EventType != controlplane.ActionDomainCreated ||
		all[1].EventType != controlplane.ActionCertificateIssued {
		t.Fatalf("deliveries = %s, want domain.created and domain.certificate_issued", toJSON(all))
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
		if !m.verified(secret) || m.header.Get("webhook-id") != all[i].EventID ||
			e.ID != all[i].EventID || e.Type != all[i].EventType ||
			!e.Timestamp.Equal(all[i].CreatedAt) || e.OrganizationID != w.org ||
			e.Data["domain_id"] != d.ID || e.Actor["ip"] != nil {
			t.Errorf("request %v %s, want a signed one of the event %s, without an IP address",
				m.header, m.body, all[i].EventID)
		}
		if strings.Contains(string(m.body), alice.IP) ||
			strings.Contains(string(m.body), "PRIVATE KEY") {
			t.Errorf("body contains private data: %s", m.body)
		}
		got, err := w.Store.Delivery(t.Context(), w.org, hook.ID, all[i].ID)
		must(t, err)
		if got.Status != controlplane.DeliverySucceeded || got.Attempts != 1 ||
			got.LastStatusCode != 204 || got.NextAttemptAt != nil ||
			string(got.Body) != string(m.body) {
			t.Errorf("delivery = %s, want success after one attempt with the sent body",
				toJSON(got))
		}
		wantJob(t, w.jobOf(got), controlplane.JobSucceeded, "", 0)
	}
	if len(r.all()) != 2 {
		t.Errorf("received %d requests, want 2", len(r.all()))
	}
}

// Only chosen events of the organization are delivered, and only to enabled webhooks.
func TestDeliverOnlyChosenEvents(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	chosen, _ := w.hook(r, controlplane.ActionDomainDeleted)
	off, _ := w.hook(r)
	_, err := w.UpdateWebhook(t.Context(), alice, w.org, off.ID,
		lifecycle.WebhookPatch{Enabled: new(bool)})
	must(t, err)
	before := len(w.deliveries(off))
	theirs := w.organization(10)
	_, _, err = w.CreateWebhook(t.Context(), alice, theirs,
		lifecycle.NewWebhook{URL: r.URL, Enabled: true})
	must(t, err)
	w.add("example.com")
	if n := len(w.deliveries(chosen)); n != 0 {
		t.Errorf("%d deliveries to a webhook without this event, want 0", n)
	}
	if n := len(w.deliveries(off)) - before; n != 0 {
		t.Errorf("%d deliveries to a disabled webhook, want 0", n)
	}
	if n := value[int](w, `SELECT count(*) FROM webhook_deliveries WHERE org_id = $1`,
		theirs); n != 0 {
		t.Errorf("%d deliveries to another organization, want 0", n)
	}
}

// A receiver is down for a day: the retries follow the schedule, and the event is delivered with
// the same bytes and the same ID.
func TestDeliverRetriesForADay(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.answers(http.StatusInternalServerError)
	w := newHooked(t, r)
	hook, secret := w.hook(r, controlplane.ActionDomainCreated)
	w.add("example.com")
	d := w.only(hook)
	first := w.clock.Now()
	var waits []time.Duration
	for w.clock.Now().Before(first.Add(day)) {
		err := w.deliver(d)
		later, ok := errors.AsType[*lifecycle.RetryLater](err)
		if !ok {
			t.Fatalf("attempt after %s: error %v, want *RetryLater", w.clock.Now().Sub(first), err)
		}
		waits = append(waits, later.After)
		got := w.only(hook)
		j := w.jobOf(d)
		if got.Status != controlplane.DeliveryPending || got.Attempts != len(waits) ||
			!got.NextAttemptAt.Equal(j.RunAt) || j.Attempts != len(waits) ||
			w.webhook(hook.ID).FailingSince == nil {
			t.Fatalf("delivery %s with job %s, want %d attempts, and a retry scheduled",
				toJSON(got), toJSON(j), len(waits))
		}
		w.clock.set(j.RunAt)
	}
	want := []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
		5 * time.Hour, 10 * time.Hour, 14 * time.Hour}
	for i, wait := range waits {
		if i >= len(want) || !near(wait, want[i]) {
			t.Errorf("delays = %v, want about %v", waits, want)
			break
		}
	}
	r.answers(http.StatusOK)
	must(t, w.deliver(d))
	if got := w.only(hook); got.Status != controlplane.DeliverySucceeded ||
		got.Attempts != len(waits)+1 || w.webhook(hook.ID).FailingSince != nil {
		t.Errorf("delivery = %s, webhook failing since %v, want success", toJSON(got),
			w.webhook(hook.ID).FailingSince)
	}
	all := r.all()
	sameMessage(t, all, d.EventID)
	attempts := w.attempts(d)
	if len(attempts) != len(all) {
		t.Fatalf("%d stored attempts, want %d", len(attempts), len(all))
	}
	for i, m := range all {
		a := attempts[i]
		if !m.verified(secret) || a.RequestHeaders["webhook-signature"] != m.header.Get(
			"webhook-signature") || a.RequestHeaders["webhook-timestamp"] != m.header.Get(
			"webhook-timestamp") || (a.Error == "") != (i == len(all)-1) {
			t.Errorf("attempt %d = %+v of the request %v", i, a, m.header)
		}
	}
}

func TestDeliverIsDeadLetteredAfterTenAttempts(t *testing.T) {
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
	own, others := len(w.deliveries(hook)), len(w.deliveries(other))
	for n := 1; n < controlplane.DeliveryAttempts; n++ {
		if err := w.deliver(&d); err == nil {
			t.Fatal("the delivery succeeded, want a failure")
		}
	}
	err := w.deliver(&d)
	if _, ok := errors.AsType[*lifecycle.DeadLettered](err); !ok {
		t.Fatalf("last attempt: error = %v, want *DeadLettered", err)
	}
	j := w.jobOf(&d)
	wantJob(t, j, controlplane.JobFailed, "dead-lettered", controlplane.DeliveryAttempts)
	got, err := w.Store.Delivery(t.Context(), w.org, hook.ID, d.ID)
	must(t, err)
	if j.DeadLetteredAt == nil || got.Status != controlplane.DeliveryFailed ||
		got.NextAttemptAt != nil || got.LastStatusCode != 502 ||
		len(r.all()) != controlplane.DeliveryAttempts {
		t.Errorf("job %s, delivery %s after %d attempts, want them failed after 10", toJSON(j),
			toJSON(got), len(r.all()))
	}
	if e := w.last(j.ID); e.Action != controlplane.ActionJobDeadLettered ||
		e.Details["webhook_id"] != hook.ID || e.Details["delivery_id"] != d.ID {
		t.Errorf("last entry = %+v, want job.dead_lettered with webhook and delivery", e)
	}
	// The failure of a delivery is not an event for webhooks: that could go on forever.
	if len(w.deliveries(hook)) != own || len(w.deliveries(other)) != others {
		t.Errorf("%d and %d deliveries, want %d and %d as before", len(w.deliveries(hook)),
			len(w.deliveries(other)), own, others)
	}
	// Restarting the job sends the event again.
	r.answers(http.StatusOK)
	if _, started, err := w.RestartJob(t.Context(), alice, w.org, j.ID); err != nil || !started {
		t.Fatalf("RestartJob: started = %v, error %v, want true", started, err)
	}
	must(t, w.deliver(&d))
	if got, err = w.Store.Delivery(t.Context(), w.org, hook.ID, d.ID); err != nil ||
		got.Status != controlplane.DeliverySucceeded ||
		got.Attempts != controlplane.DeliveryAttempts+1 {
		t.Errorf("restarted delivery = %s, %v, want success after %d attempts", toJSON(got), err,
			controlplane.DeliveryAttempts+1)
	}
	sameMessage(t, r.all(), d.EventID)
}

// The status 410 disables a webhook at once, abandons its deliveries, and is an event for the
// others.
func TestDeliverDisablesAGoneWebhook(t *testing.T) {
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
		t.Fatalf("webhook = %s, want it disabled because the receiver is gone", toJSON(got))
	}
	for _, d := range w.deliveries(hook) {
		if d.Status != controlplane.DeliveryFailed ||
			w.jobOf(&d).Status != controlplane.JobFailed || w.jobOf(&d).DeadLetteredAt != nil {
			t.Errorf("delivery %s with job %s, want both failed without a dead letter", toJSON(d),
				toJSON(w.jobOf(&d)))
		}
	}
	if e := w.last(hook.ID); e.Action != controlplane.ActionWebhookDisabled ||
		e.Details["reason"] != "gone" || strings.Contains(toJSON(e), "/hook") {
		t.Errorf("last entry = %s, want webhook.disabled with the reason gone, without the path of the URL", toJSON(e))
	}
	if got := w.deliveries(other); len(got) != 1 ||
		got[0].EventType != controlplane.ActionWebhookDisabled {
		t.Errorf("deliveries of the other webhook = %s, want webhook.disabled", toJSON(got))
	}
	w.add("c.example.com")
	if n := len(w.deliveries(hook)); n != 2 || len(r.all()) != 1 {
		t.Errorf("%d deliveries and %d requests after the webhook was disabled", n, len(r.all()))
	}
	_, err := w.Redeliver(t.Context(), alice, w.org, hook.ID, all[0].ID)
	wantError(t, "redelivery to a disabled webhook", err, controlplane.KindConflict,
		"webhook-disabled")
	_, _, err = w.RestartJob(t.Context(), alice, w.org, w.jobOf(&all[0]).ID)
	wantError(t, "restart of its job", err, controlplane.KindConflict, "webhook-disabled")
}

func TestDeliverDisablesAWebhookAfterFiveDays(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.answers(http.StatusServiceUnavailable)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	w.add("a.example.com")
	d := w.only(hook)
	for range controlplane.DeliveryAttempts - 1 {
		if err := w.deliver(d); err == nil {
			t.Fatal("the delivery succeeded, want a failure")
		}
	}
	since := *w.webhook(hook.ID).FailingSince
	for i, at := range []time.Duration{5*day - time.Minute, 5 * day} {
		w.clock.set(since.Add(at))
		w.add([]string{"b.example.com", "c.example.com"}[i])
		all := w.deliveries(hook)
		_ = w.deliver(&all[len(all)-1])
		if got := w.webhook(hook.ID); got.Enabled != (at < 5*day) ||
			(got.DisabledReason == controlplane.WebhookFailing) == got.Enabled {
			t.Errorf("webhook after %s = %s", at, toJSON(got))
		}
	}
	on := true
	got, err := w.UpdateWebhook(t.Context(), alice, w.org, hook.ID,
		lifecycle.WebhookPatch{Enabled: &on})
	must(t, err)
	if !got.Enabled || got.DisabledReason != "" || got.FailingSince != nil {
		t.Errorf("webhook enabled again = %s, want no failure", toJSON(got))
	}
}

func TestDeliverHonorsRetryAfterWithinADay(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	w.add("example.com")
	d := w.only(hook)
	for _, tt := range []struct {
		retryAfter string
		want       time.Duration
	}{{"3600", time.Hour}, {"9999999", day}, {"1", 30 * time.Minute}} {
		r.does(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", tt.retryAfter)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		later, ok := errors.AsType[*lifecycle.RetryLater](w.deliver(d))
		if !ok || !near(later.After, tt.want) {
			t.Errorf("Retry-After of %s: error = %v", tt.retryAfter, later)
		}
	}
}

// A worker is killed during an attempt, and two workers have the same task: the event is delivered
// with one ID, and not lost.
func TestDeliverSurvivesItsWorker(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	w.add("example.com")
	d := w.only(hook)
	came, killed := make(chan struct{}), make(chan struct{})
	r.does(func(_ http.ResponseWriter, q *http.Request) {
		close(came)
		<-q.Context().Done()
		close(
			killed)
	})
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
		t.Errorf("delivery = %s, want it pending without an attempt", toJSON(got))
	}
	r.answers(http.StatusOK)
	must(t, w.deliver(d))
	sameMessage(t, r.all(), d.EventID)
	if got := w.only(hook); got.Status != controlplane.DeliverySucceeded || len(r.all()) != 2 {
		t.Errorf("delivery = %s after %d requests", toJSON(got), len(r.all()))
	}
}

// Slow receivers do not occupy all workers.
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
		t.Errorf("received %d requests", n)
	}
}

// An internal failure does not count against the webhook.
func TestDeliverInternalFailure(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newHooked(t, r)
	hook, _ := w.hook(r, controlplane.ActionDomainCreated)
	w.add("example.com")
	d := w.only(hook)
	w.exec(`UPDATE webhooks SET sealed_secret = 'damaged'`)
	later, ok := errors.AsType[*lifecycle.RetryLater](w.deliver(d))
	if got := w.only(hook); !ok || !near(later.After, 5*time.Second) || got.Attempts != 0 ||
		w.webhook(hook.ID).FailingSince != nil || len(r.all()) != 0 {
		t.Errorf("error %v, delivery %s, want a retry in 5 s, and no attempt or failure of the webhook", later, toJSON(got))
	}
	for range controlplane.DeliveryAttempts - 1 {
		_ = w.deliver(d)
	}
	wantJob(t, w.jobOf(d), controlplane.JobFailed, "dead-lettered", controlplane.DeliveryAttempts)
	if got := w.only(hook); got.Status != controlplane.DeliveryFailed ||
		strings.Contains(got.LastError, "seal") {
		t.Errorf("delivery = %s, want it failed, without the internal error", toJSON(got))
	}
}
