package lifecycle_test

import (
	"bytes"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/webhook"
)

// receiver is a customer's HTTPS server. It records the requests, and responds with 204 or as the
// test sets.
type receiver struct {
	*httptest.Server
	t *testing.T

	mu     sync.Mutex
	got    []received
	answer http.HandlerFunc
}

type received struct {
	header http.Header
	body   []byte
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t}
	r.answers(http.StatusNoContent)
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.got = append(r.got, received{q.Header.Clone(), body})
		answer := r.answer
		r.mu.Unlock()
		answer(w, q)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) does(fn http.HandlerFunc) { r.mu.Lock(); defer r.mu.Unlock(); r.answer = fn }

func (r *receiver) answers(code int) {
	r.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

func (r *receiver) all() []received { r.mu.Lock(); defer r.mu.Unlock(); return slices.Clone(r.got) }

// verified verifies the signature with the reference library.
func (m received) verified(secret string) bool {
	hook, err := standardwebhooks.NewWebhook(secret)
	return err == nil && hook.VerifyIgnoringTimestamp(m.body, m.header) == nil
}

// newHooked returns a world that posts to local receivers and trusts the certificate of r.
func newHooked(t *testing.T, r *receiver, change ...func(*lifecycle.Config)) *world {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(r.Certificate())
	return newWorld(t, append([]func(*lifecycle.Config){func(c *lifecycle.Config) {
		c.Poster, c.WebhookLoopback = webhook.New(webhook.Config{Loopback: true, Roots: pool}), true
	}}, change...)...)
}

func (w *world) hook(r *receiver, events ...string) (*controlplane.Webhook, string) {
	w.t.Helper()
	hook, secret, err := w.CreateWebhook(w.t.Context(), alice, w.org,
		lifecycle.NewWebhook{URL: r.URL + "/hook", Events: events, Enabled: true})
	must(w.t, err)
	return hook, secret
}

func (w *world) webhook(id string) *controlplane.Webhook {
	w.t.Helper()
	hook, err := w.Store.Webhook(w.t.Context(), w.org, id)
	must(w.t, err)
	return hook
}

// deliveries returns the webhook's deliveries, oldest first.
func (w *world) deliveries(hook *controlplane.Webhook) []controlplane.Delivery {
	w.t.Helper()
	all, _, err := w.Store.ListDeliveries(w.t.Context(), w.org, hook.ID,
		postgres.DeliveryFilter{Limit: 1000})
	must(w.t, err)
	slices.Reverse(all)
	return all
}

// only returns the single delivery of the webhook.
func (w *world) only(hook *controlplane.Webhook) *controlplane.Delivery {
	w.t.Helper()
	all := w.deliveries(hook)
	if len(all) != 1 {
		w.t.Fatalf("%d deliveries, want 1: %s", len(all), toJSON(all))
	}
	return &all[0]
}

func (w *world) attempts(d *controlplane.Delivery) []controlplane.Attempt {
	w.t.Helper()
	all, err := w.Store.Attempts(w.t.Context(), d.OrgID, d.ID)
	must(w.t, err)
	return all
}

// jobOf returns the job of the delivery.
func (w *world) jobOf(d *controlplane.Delivery) *controlplane.Job {
	w.t.Helper()
	j, err := w.Store.Job(w.t.Context(), d.OrgID,
		value[string](w, `SELECT id FROM jobs WHERE delivery_id = $1`, d.ID))
	must(w.t, err)
	return j
}

// deliver makes one attempt, after moving the clock to its time, and returns the error that the
// queue receives.
func (w *world) deliver(d *controlplane.Delivery) error {
	w.t.Helper()
	j := w.jobOf(d)
	if j.RunAt.After(w.clock.Now()) {
		w.clock.set(j.RunAt)
	}
	return w.RunJob(w.t.Context(), j.ID, j.Generation)
}

// sameMessage checks that all requests have the same body and ID.
func sameMessage(t *testing.T, all []received, id string) {
	t.Helper()
	for _, m := range all {
		if m.header.Get("webhook-id") != id || !bytes.Equal(m.body, all[0].body) {
			t.Errorf("message %s: %s, want %s: %s as before", m.header.Get("webhook-id"), m.body,
				id, all[0].body)
		}
	}
}

func near(d, want time.Duration) bool { return d >= want*89/100 && d <= want*111/100 }

// range1 redelivers the first event from since on.
func (w *world) range1(hook *controlplane.Webhook, since time.Time) (queued int, until time.Time) {
	w.t.Helper()
	must(w.t, w.Store.InTx(w.t.Context(), func(t *postgres.Tx) (err error) {
		done, err := t.RedeliverRange(w.t.Context(), hook, since, w.clock.Now(), w.clock.Now(),
			true, 1)
		queued, until = done.Queued, done.Until
		return err
	}))
	return queued, until
}
