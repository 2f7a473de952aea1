package lifecycle

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// postsPerWebhook is how many attempts one webhook gets at a time from one process.
	postsPerWebhook = 4
	// postPause is about how long a delivery waits that finds no place.
	postPause = 5 * time.Second
)

// posts keeps receivers that take their time from taking all the workers, which issue
// certificates, too.
type posts struct {
	most int // of all webhooks

	mu        sync.Mutex
	all       int
	byWebhook map[string]int
}

// enter takes a place until leave is called; ok is false where there is none.
func (p *posts) enter(webhook string) (leave func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= p.most || p.byWebhook[webhook] >= postsPerWebhook {
		return nil, false
	}
	p.all++
	p.byWebhook[webhook]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all--
		if p.byWebhook[webhook]--; p.byWebhook[webhook] == 0 {
			delete(p.byWebhook, webhook)
		}
	}, true
}

// putOffDelivery puts the job back for a while that differs from one to the next.
func (w *work) putOffDelivery(ctx context.Context) error {
	now := w.now()
	wait := time.Duration(float64(postPause) * (0.2 + 1.6*rand.Float64()))
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		return t.JobWaits(ctx, w.claim, now, now.Add(wait).Truncate(time.Microsecond), "webhook-busy")
	})
}
