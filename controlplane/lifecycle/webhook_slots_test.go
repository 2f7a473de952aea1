package lifecycle_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
)

// slowReceiver is a receiver that does not respond until release is called. It sends each request
// to came.
func slowReceiver(t *testing.T) (r *receiver, came chan struct{}, release func()) {
	t.Helper()
	r = newReceiver(t)
	came = make(chan struct{}, 100)
	held := make(chan struct{})
	r.does(func(w http.ResponseWriter, _ *http.Request) {
		came <- struct{}{}
		<-held
		w.WriteHeader(http.StatusNoContent)
	})
	release = sync.OnceFunc(func() { close(held) })
	t.Cleanup(release)
	return r, came, release
}

// webhookOf returns a new webhook of the organization that receives only tests.
func (w *world) webhookOf(org string, r *receiver) *controlplane.Webhook {
	w.t.Helper()
	hook, _, err := w.CreateWebhook(w.t.Context(), alice, org,
		lifecycle.NewWebhook{URL: r.URL, Events: []string{controlplane.ActionDomainDeleted},
			Enabled: true})
	must(w.t, err)
	return hook
}

// testOf returns a new delivery to the webhook.
func (w *world) testOf(hook *controlplane.Webhook) *controlplane.Delivery {
	w.t.Helper()
	d, err := w.TestWebhook(w.t.Context(), alice, hook.OrgID, hook.ID)
	must(w.t, err)
	return d
}

// hang starts an attempt and returns when it reached the receiver. The returned function waits for
// the end of the attempt.
func (w *world) hang(d *controlplane.Delivery, came <-chan struct{}) (wait func()) {
	w.t.Helper()
	done := make(chan error, 1)
	go func() { done <- w.deliver(d) }()
	soon(w.t, "the attempt of "+d.ID, came)
	return func() { w.t.Helper(); must(w.t, soon(w.t, "the end of "+d.ID, done)) }
}

// deferred runs a delivery that gets no slot, and returns for how long it is deferred.
func (w *world) deferred(d *controlplane.Delivery) time.Duration {
	w.t.Helper()
	must(w.t, w.deliver(d))
	j := w.jobOf(d)
	wantJob(w.t, j, controlplane.JobQueued, "webhook-busy", 0)
	got, err := w.Store.Delivery(w.t.Context(), d.OrgID, d.WebhookID, d.ID)
	must(w.t, err)
	if got.Status != controlplane.DeliveryPending || got.Attempts != 0 ||
		got.NextAttemptAt == nil || !got.NextAttemptAt.Equal(j.RunAt) {
		w.t.Errorf("deliver without a place left %s, want it pending until %s", toJSON(got),
			j.RunAt)
	}
	return j.RunAt.Sub(w.clock.Now())
}

func (w *world) succeeded(d *controlplane.Delivery) {
	w.t.Helper()
	must(w.t, w.deliver(d))
	wantJob(w.t, w.jobOf(d), controlplane.JobSucceeded, "", 0)
}

// One organization holds at most a quarter of the slots, and one of its webhooks half of that. The
// rest is for its other webhooks and for other organizations.
func TestDeliveriesOfOneOrganizationHoldAQuarter(t *testing.T) {
	t.Parallel()
	slow, came, release := slowReceiver(t)
	w := newHooked(t, slow) // 16 slots
	first, second, third := w.webhookOf(w.org, slow), w.webhookOf(w.org, slow),
		w.webhookOf(w.org, newReceiver(t))
	ends := []func(){w.hang(w.testOf(first), came), w.hang(w.testOf(first), came)}
	waiting := w.testOf(first)
	w.deferred(waiting)          // the webhook holds its half
	w.succeeded(w.testOf(third)) // the other half is for another webhook
	ends = append(ends, w.hang(w.testOf(second), came), w.hang(w.testOf(second), came))
	w.deferred(w.testOf(third)) // the quarter is in use

	theirs := w.webhookOf(w.organization(10), slow)
	ends = append(ends, w.hang(w.testOf(theirs), came), w.hang(w.testOf(theirs), came))
	if n := len(slow.all()); n != 6 {
		t.Errorf("%d attempts in progress, want 4 of one organization and 2 of the other", n)
	}
	release()
	for _, ended := range ends {
		ended()
	}
	w.succeeded(waiting)
}

// While all slots are in use, the organizations take turns, for any number of waiting deliveries.
func TestDeliveriesTakeTurns(t *testing.T) {
	t.Parallel()
	slow, came, release := slowReceiver(t)
	w := newHooked(t, slow, func(c *lifecycle.Config) { c.Deliveries = 2 })
	noisy, quiet, third := w.webhookOf(w.org, newReceiver(t)),
		w.webhookOf(w.organization(10), newReceiver(t)),
		w.webhookOf(w.organization(10), newReceiver(t))
	end := w.hang(w.testOf(w.webhookOf(w.organization(10), slow)), came)
	blocker, blocked, free := slowReceiver(t)
	end2 := w.hang(w.testOf(w.webhookOf(w.organization(10), blocker)), blocked)

	var all []*controlplane.Delivery
	for range 3 {
		all = append(all, w.testOf(noisy))
	}
	for _, d := range all {
		w.deferred(d)
	}
	next, last := w.testOf(quiet), w.testOf(third)
	if wait := w.deferred(next); wait > time.Second {
		t.Errorf("the delivery that holds its organization's turn waits %s, want a second at most",
			wait)
	}
	w.deferred(last)

	free()
	end2() // one of two slots is free: the organization that was deferred first has the turn
	w.deferred(next)
	w.succeeded(all[0])
	w.deferred(all[1]) // after the others now
	w.succeeded(next)
	w.deferred(all[1])
	w.succeeded(last)
	w.succeeded(all[1])
	w.succeeded(all[2])
	release()
	end()
}

// A turn whose delivery does not return is not kept.
func TestDeliveriesTurnIsNotKeptForLong(t *testing.T) {
	t.Parallel()
	slow, came, release := slowReceiver(t)
	w := newHooked(t, slow, func(c *lifecycle.Config) { c.Deliveries = 1 })
	gone, quiet := w.webhookOf(w.organization(10), newReceiver(t)),
		w.webhookOf(w.organization(10), newReceiver(t))
	end := w.hang(w.testOf(w.webhookOf(w.org, slow)), came)
	w.deferred(w.testOf(gone))
	must(t, w.DeleteWebhook(t.Context(), alice, gone.OrgID, gone.ID))
	d := w.testOf(quiet)
	w.deferred(d)
	release()
	end()
	w.deferred(d)
	w.clock.set(w.clock.Now().Add(10 * time.Second))
	w.succeeded(d)
}

// Deliveries without a slot return as fast as their receiver responds: a thousand that wait for a
// receiver that does not respond cause little work.
func TestDeliveriesReturnAsFastAsTheirReceiver(t *testing.T) {
	t.Parallel()
	slow, came, release := slowReceiver(t)
	w := newHooked(t, slow)
	hook := w.webhookOf(w.org, slow)
	ends := []func(){w.hang(w.testOf(hook), came), w.hang(w.testOf(hook), came)}
	w.clock.set(w.clock.Now().Add(20 * time.Second))
	release()
	for _, ended := range ends {
		ended() // each after 20 s
	}
	again, came, release := slowReceiver(t)
	w.exec(`UPDATE webhooks SET url = $1`, again.URL)
	ends = []func(){w.hang(w.testOf(hook), came), w.hang(w.testOf(hook), came)}
	now := w.clock.Now()
	var waits []time.Duration
	for range 5 {
		d := w.testOf(hook)
		must(t, w.RunJob(t.Context(), w.jobOf(d).ID, w.jobOf(d).Generation))
		waits = append(waits, w.jobOf(d).RunAt.Sub(now))
	}
	for i := 1; i < len(waits); i++ {
		if step := waits[i] - waits[i-1]; step < 9*time.Second || step > 11*time.Second {
			t.Errorf("deliveries without a slot return after %v, want 10 s between them: two at a time to a receiver that takes 20 s", waits)
			break
		}
	}
	release()
	for _, ended := range ends {
		ended()
	}
}
