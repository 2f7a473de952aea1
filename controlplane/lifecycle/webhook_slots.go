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
	// postPause is the shortest wait of a delivery that gets no place.
	postPause = 500 * time.Millisecond
	// turnPause is the wait of the delivery that holds its organization's turn.
	turnPause = time.Second
	// turnKept is how long a turn is kept for a delivery that does not return.
	turnKept = 5 * time.Second
	// postPauseMost is the longest wait of a delivery that gets no place.
	postPauseMost = 15 * time.Minute
	// postExpected is how long an attempt is assumed to take until the receiver has responded once.
	postExpected = 200 * time.Millisecond
	// hookKept is how long it is remembered how fast a receiver responds.
	hookKept = time.Minute
	// postStepLeast is the shortest time between two retries of one webhook.
	postStepLeast = 20 * time.Millisecond
)

// posts divides the places for attempts in this process among organizations and webhooks, so
// that receivers that are slow to respond hold up neither other organizations' deliveries nor
// the workers, which issue certificates, too.
//
// An organization holds at most a quarter of the places, and a webhook at most half of that.
// While all places are taken, the organizations take turns: one that was refused a place is
// kept a turn, and a free place goes to the first turns in the line.
type posts struct {
	most int // of all organizations

	mu    sync.Mutex
	all   int
	orgs  map[string]int // places of each organization
	hooks map[string]*hookPosts
	line  []turn
}

// hookPosts are the attempts of one webhook.
type hookPosts struct {
	places int
	took   time.Duration // by the last attempt
	left   time.Time     // end of the last attempt
	next   time.Time     // of the next retry for a place
}

// turn is an organization's claim to a place that becomes free.
type turn struct {
	org, job string
	until    time.Time
}

func newPosts(most int) posts {
	return posts{most: most, orgs: make(map[string]int), hooks: make(map[string]*hookPosts)}
}

// perOrganization is how many places one organization holds at most.
func (p *posts) perOrganization() int { return max(p.most/4, 1) }

// perWebhook is how many places one webhook holds at most: an organization's other webhooks
// have the rest of its share.
func (p *posts) perWebhook() int { return max(p.perOrganization()/2, 1) }

// enter takes a place until leave is called. Where ok is false there is none for this delivery,
// and it waits for the given time.
func (p *posts) enter(now time.Time, org, webhook, job string) (leave func(now time.Time), wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hook := p.hooks[webhook]
	if hook == nil {
		hook = &hookPosts{took: postExpected}
		p.hooks[webhook] = hook
	}
	if p.orgs[org] >= p.perOrganization() || hook.places >= p.perWebhook() {
		return nil, p.pause(hook, now), false
	}
	if !p.hasTurn(now, org) {
		if p.takeTurn(now, org, job) {
			return nil, turnPause, false
		}
		return nil, p.pause(hook, now), false
	}
	p.all++
	p.orgs[org]++
	hook.places++
	return func(left time.Time) { p.leave(org, hook, left.Sub(now), left) }, 0, true
}

func (p *posts) leave(org string, hook *hookPosts, took time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.orgs[org]--; p.orgs[org] == 0 {
		delete(p.orgs, org)
	}
	hook.places--
	hook.took, hook.left = took, now
	for id, h := range p.hooks {
		if old := now.Add(-hookKept); h.places == 0 && h.left.Before(old) && h.next.Before(old) {
			delete(p.hooks, id)
		}
	}
}

// hasTurn reports whether a place is free that no organization before this one has a turn for,
// and ends the turn if so.
func (p *posts) hasTurn(now time.Time, org string) bool {
	p.line = slices.DeleteFunc(p.line, func(t turn) bool { return t.until.Before(now) })
	i := p.turnOf(org)
	before := i
	if i < 0 {
		before = len(p.line)
	}
	if p.all+before >= p.most {
		return false
	}
	if i >= 0 {
		p.line = slices.Delete(p.line, i, i+1)
	}
	return true
}

// takeTurn puts the organization at the end of the line, and reports whether the job holds its
// turn.
func (p *posts) takeTurn(now time.Time, org, job string) bool {
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

func (p *posts) turnOf(org string) int {
	return slices.IndexFunc(p.line, func(t turn) bool { return t.org == org })
}

// pause returns how long the webhook's next refused delivery waits. They return one after the
// other, as fast as the receiver responds: thousands that wait for a slow one cost little.
func (p *posts) pause(hook *hookPosts, now time.Time) time.Duration {
	at := now.Add(postPause)
	if hook.next.After(at) {
		at = hook.next
	}
	if at.Sub(now) > postPauseMost {
		return postPauseMost
	}
	hook.next = at.Add(max(hook.took/time.Duration(p.perWebhook()), postStepLeast))
	return at.Sub(now)
}

// deferDelivery puts the job back for the wait. It is not a failure.
func (w *work) deferDelivery(ctx context.Context, d *controlplane.Delivery, wait time.Duration) error {
	now := w.now()
	if wait == postPauseMost {
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
