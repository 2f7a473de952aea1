package lifecycle

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// minSlotPause is the shortest delay of a delivery without a slot.
	minSlotPause = 500 * time.Millisecond
	// maxSlotPause is the longest delay of a delivery without a slot.
	maxSlotPause = 15 * time.Minute
	// turnPause is the delay of the delivery that holds its organization's turn.
	turnPause = time.Second
	// turnKept is how long a turn is kept for a delivery that does not return.
	turnKept = 5 * time.Second
	// expectedDuration is the assumed duration of an attempt before the receiver's first response.
	expectedDuration = 200 * time.Millisecond
	// webhookKept is how long the response time of a receiver is kept.
	webhookKept = time.Minute
	// minSlotStep is the shortest time between two deliveries of one webhook that return for a
	// slot.
	minSlotStep = 20 * time.Millisecond
)

// slots divides the slots for attempts in this process among organizations and webhooks, so that
// slow receivers delay neither other organizations' deliveries nor the workers, which also issue
// certificates.
//
// An organization holds at most a quarter of the slots, and a webhook at most half of that. While
// all slots are in use, the organizations take turns: one without a slot gets a turn, and a free
// slot goes to the first turns in the line.
type slots struct {
	total int

	mu    sync.Mutex
	used  int
	orgs  map[string]int // used slots by organization
	hooks map[string]*hookSlots
	line  []turn
}

// hookSlots holds the slots of one webhook.
type hookSlots struct {
	used int
	took time.Duration // duration of the last attempt
	left time.Time     // end of the last attempt
	next time.Time     // when the next delivery returns for a slot
}

// turn is an organization's claim to the next free slot.
type turn struct {
	org, job string
	until    time.Time
}

func newSlots(total int) slots {
	return slots{total: total, orgs: make(map[string]int), hooks: make(map[string]*hookSlots)}
}

// perOrganization returns the maximum number of slots of one organization.
func (p *slots) perOrganization() int { return max(p.total/4, 1) }

// perWebhook returns the maximum number of slots of one webhook. The rest of its organization's
// share is for the other webhooks.
func (p *slots) perWebhook() int { return max(p.perOrganization()/2, 1) }

// acquire takes a slot until release is called. ok is false if this delivery gets no slot:
// it should return after wait.
func (p *slots) acquire(
	now time.Time, org, webhook, job string,
) (release func(now time.Time), wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hook := p.hooks[webhook]
	if hook == nil {
		hook = &hookSlots{took: expectedDuration}
		p.hooks[webhook] = hook
	}
	if p.orgs[org] >= p.perOrganization() || hook.used >= p.perWebhook() {
		return nil, p.pause(hook, now), false
	}
	if !p.hasTurn(now, org) {
		if p.takeTurn(now, org, job) {
			return nil, turnPause, false
		}
		return nil, p.pause(hook, now), false
	}
	p.used++
	p.orgs[org]++
	hook.used++
	return func(left time.Time) { p.release(org, hook, left.Sub(now), left) }, 0, true
}

func (p *slots) release(org string, hook *hookSlots, took time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used--
	if p.orgs[org]--; p.orgs[org] == 0 {
		delete(p.orgs, org)
	}
	hook.used--
	hook.took, hook.left = took, now
	for id, h := range p.hooks {
		if old := now.Add(-webhookKept); h.used == 0 && h.left.Before(old) && h.next.Before(old) {
			delete(p.hooks, id)
		}
	}
}

// hasTurn reports whether a slot is free for the organization, after the turns before it in the
// line. If so, it ends the organization's turn.
func (p *slots) hasTurn(now time.Time, org string) bool {
	p.line = slices.DeleteFunc(p.line, func(t turn) bool { return t.until.Before(now) })
	i := p.turnOf(org)
	before := i
	if i < 0 {
		before = len(p.line)
	}
	if p.used+before >= p.total {
		return false
	}
	if i >= 0 {
		p.line = slices.Delete(p.line, i, i+1)
	}
	return true
}

// takeTurn adds the organization to the end of the line, and reports whether the job holds its
// turn.
func (p *slots) takeTurn(now time.Time, org, job string) bool {
	i := p.turnOf(org)
	if i < 0 {
		p.line = append(p.line, turn{org: org, job: job})
		i = len(p.line) - 1
	}
	if p.line[i].job != job {
		return false
	}
	p.line[i].until = now.Add(turnKept)
	return true
}

func (p *slots) turnOf(org string) int {
	return slices.IndexFunc(p.line, func(t turn) bool { return t.org == org })
}

// pause returns the delay of the webhook's next delivery without a slot. The deliveries return one
// after the other, as fast as the receiver responds: thousands that wait for a slow one cost
// little.
func (p *slots) pause(hook *hookSlots, now time.Time) time.Duration {
	at := now.Add(minSlotPause)
	if hook.next.After(at) {
		at = hook.next
	}
	if at.Sub(now) > maxSlotPause {
		return maxSlotPause
	}
	hook.next = at.Add(max(hook.took/time.Duration(p.perWebhook()), minSlotStep))
	return at.Sub(now)
}

// deferDelivery defers the job for the given wait.
func (w *work) deferDelivery(
	ctx context.Context, d *controlplane.Delivery, wait time.Duration,
) error {
	now := w.now()
	if wait == maxSlotPause {
		wait -= time.Duration(w.Rand() * float64(wait) / 2) // so that they do not return at once
	}
	next := now.Add(wait).Truncate(time.Microsecond)
	return w.Store.InTx(ctx, func(t *postgres.Tx) error {
		if err := t.DelayDelivery(ctx, d, now, next); err != nil {
			return err
		}
		return t.DeferJob(ctx, w.claim, now, next, "webhook-busy")
	})
}
