package queue

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/webhook"
)

// receiver records the requests of a webhook by event, and responds with a status.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	bodies map[string][]string
}

// hook adds a webhook to the organization, and starts its receiver.
func (w *world) hook() (*receiver, *controlplane.Webhook) {
	w.t.Helper()
	keyset, err := seal.New()
	must(w.t, err)
	w.Sealer, err = seal.Open(keyset)
	must(w.t, err)
	w.Poster, w.WebhookLoopback = webhook.New(webhook.Config{Loopback: true}), true
	r := &receiver{status: http.StatusOK, bodies: make(map[string][]string)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		id := q.Header.Get("webhook-id")
		r.bodies[id] = append(r.bodies[id], string(body))
		w.WriteHeader(r.status)
	}))
	w.t.Cleanup(r.Close)
	hook, _, err := w.CreateWebhook(w.t.Context(), controlplane.System("test"), w.org,
		lifecycle.NewWebhook{URL: r.URL, Enabled: true})
	must(w.t, err)
	return r, hook
}

func (r *receiver) respond(status int) { r.mu.Lock(); defer r.mu.Unlock(); r.status = status }

// counts returns the numbers of received events and requests.
func (r *receiver) counts() (events, requests int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, all := range r.bodies {
		requests += len(all)
	}
	return len(r.bodies), requests
}

func (w *world) delivered(hook *controlplane.Webhook, status controlplane.DeliveryStatus) int {
	w.t.Helper()
	all, _, err := w.Store.ListDeliveries(w.t.Context(), w.org, hook.ID,
		postgres.DeliveryFilter{Status: status, Limit: 1000})
	must(w.t, err)
	return len(all)
}

// Two processes deliver each event once, on either Redis.
func TestTwoReplicasDeliverOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		r, hook := w.hook()
		w.run(w.queue())
		w.run(w.queue())
		var all []*controlplane.Domain
		for _, name := range []string{"a.example.com", "b.example.com", "c.example.com",
			"d.example.com", "e.example.com"} {
			all = append(all, w.add(name))
		}
		for _, d := range all {
			w.waitDomain(d, controlplane.DomainActive)
		}
		w.eventually("nothing to be pending",
			func() bool { return w.delivered(hook, controlplane.DeliveryPending) == 0 })
		want := w.count(
			`SELECT count(*) FROM audit_logs WHERE org_id = $1 AND split_part(action, '.', 1) = 'domain'`, w.org)
		if events, requests := r.counts(); events != want || requests != want ||
			w.delivered(hook, controlplane.DeliverySucceeded) != want {
			t.Errorf("received %d events in %d requests, want %d of each", events, requests, want)
		}
	})
}

// Five webhooks of one organization have a receiver that does not respond. All events of another
// organization are delivered during those attempts.
func TestHangingWebhooksDelayNoOtherOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	r, hook := w.hook()
	w.exec(`UPDATE webhooks SET events = '{domain.created}'`)
	silent := make(chan struct{})
	var held, most atomic.Int32
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), held.Add(1)))
		defer held.Add(-1)
		<-silent
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(silent) })
	limit := 1000
	noisy, err := w.CreateOrganization(t.Context(), controlplane.System("test"),
		lifecycle.NewOrganization{Name: "noisy", DomainLimit: &limit, Tier: controlplane.TierFree})
	must(t, err)
	for range 5 {
		_, _, err := w.CreateWebhook(t.Context(), controlplane.System("test"), noisy.ID,
			lifecycle.NewWebhook{URL: slow.URL, Events: []string{controlplane.ActionDomainCreated},
				Enabled: true})
		must(t, err)
	}
	for i := range 8 { // 40 deliveries
		_, err := w.AddDomain(t.Context(), controlplane.System("test"), noisy.ID,
			lifecycle.NewDomain{Name: fmt.Sprintf("noisy%d.example.com", i)})
		must(t, err)
	}
	// 32 workers, 16 slots
	q, err := New(Config{Store: w.Store, Lifecycle: w.Service, RedisURL: w.redis.URL(),
		SweepEvery: time.Hour})
	must(t, err)
	w.run(q)
	w.eventually("the silent receiver's attempts", func() bool { return held.Load() >= 4 })
	const n = 12
	for i := range n {
		w.add(fmt.Sprintf("quiet%d.example.com", i))
	}
	w.eventually("the quiet organization's events",
		func() bool { events, _ := r.counts(); return events == n })
	w.eventually("the quiet organization's deliveries",
		func() bool { return w.delivered(hook, controlplane.DeliverySucceeded) == n })
	if now := held.Load(); now != 4 || most.Load() != 4 {
		t.Errorf("the silent receiver holds %d attempts, %d at most; want a quarter of 16", now,
			most.Load())
	}
	if failed := w.count(
		`SELECT coalesce(sum(attempts), 0) FROM jobs WHERE type = 'webhook_delivery'`); failed != 0 {
		t.Errorf("%d failures were counted, want 0: waiting for a slot is not a failure", failed)
	}
}

// A delivery that is scheduled for a retry survives the loss of all Redis data, with the attempts
// that it had left.
func TestDeliveriesSurviveALostRedis(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, w *world) {
		r, hook := w.hook()
		r.respond(http.StatusInternalServerError)
		stop := w.run(w.queue())
		w.exec(`UPDATE webhooks SET events = '{domain.created}'`)
		w.add("example.com")
		w.eventually("a failure", func() bool {
			return w.count(
				`SELECT count(*) FROM jobs WHERE type = 'webhook_delivery' AND attempts = 1 AND status = 'queued'`) == 1
		})
		stop()
		must(t, w.redis.Flush(t.Context()))
		next := w.queue()
		must(t, next.checkEpoch(t.Context()))
		w.exec(`UPDATE jobs SET run_at = now() - interval '1 second' WHERE type = 'webhook_delivery'`)
		_, err := w.Store.DispatchDue(t.Context(), next.Now(), everything(),
			func(jobs []controlplane.Job) error { return next.enqueue(t.Context(), jobs) })
		must(t, err)
		jobs, _, err := w.Store.ListJobs(t.Context(), w.org,
			postgres.JobFilter{Type: controlplane.JobDelivery, Limit: 10})
		must(t, err)
		if info := w.task(next, &jobs[0]); len(jobs) != 1 || info == nil ||
			info.MaxRetry != controlplane.DeliveryAttempts-2 ||
			info.Queue != string(controlplane.QueueDefault) {
			t.Errorf("jobs %+v with the task %+v, want one job with %d retries", jobs, info,
				controlplane.DeliveryAttempts-2)
		}
		r.respond(http.StatusOK)
		w.run(next)
		w.eventually("it to be delivered",
			func() bool { return w.delivered(hook, controlplane.DeliverySucceeded) == 1 })
		if events, requests := r.counts(); events != 1 || requests != 2 {
			t.Errorf("received %d events in %d requests, want 1 event in 2", events, requests)
		}
		for _, bodies := range r.bodies {
			if bodies[0] != bodies[1] {
				t.Errorf("the second attempt sent %s, want the bytes of the first, %s", bodies[1],
					bodies[0])
			}
		}
	})
}
