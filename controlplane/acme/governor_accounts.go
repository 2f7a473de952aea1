package acme

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// spread reserves an order at one of several accounts: at the one that the order should stay with,
// if it can place the order within the request's Stay, and otherwise at the one with the most
// orders left. If none has any left, the order waits for the account that can place it first, and
// has its place in the queue of that account only. Its error is that of Redis.
func (g *Governor) spread(
	ctx context.Context, ca governed, q controlplane.QuotaRequest,
) (controlplane.QuotaDecision, error) {
	if q.Account != "" && slices.Contains(q.Accounts, q.Account) {
		d, elsewhere, err := g.reserve(ctx, ca, q.For(q.Account), q.Stay)
		if err != nil || d.OK || !elsewhere || !d.WaitUntil.After(g.cfg.Now().Add(q.Stay)) {
			return d, err
		}
	}
	rooms, err := g.rooms(ctx, ca, q)
	if err != nil {
		d, _, err := g.reserve(ctx, ca, q.For(rooms[0].account), forever)
		return d, err
	}
	var first controlplane.QuotaDecision
	for i := range rooms {
		r := &rooms[i]
		if i > 0 && r.left < 1 {
			break
		}
		d, elsewhere, err := g.reserve(ctx, ca, q.For(r.account), forever)
		r.queued = !d.OK
		if err != nil || d.OK || !elsewhere {
			g.leave(ctx, ca, q, rooms, r.account)
			return d, err
		}
		if i == 0 || d.WaitUntil.Before(first.WaitUntil) {
			first = d
		}
	}
	g.leave(ctx, ca, q, rooms, first.Account)
	return first, nil
}

// room is what an account has left for an order.
type room struct {
	account string
	left    float64       // orders; without a limit, infinitely many
	wait    time.Duration // until one is left; 0 if one is left now
	queued  bool          // the order waits for this account
}

// rooms returns what the accounts have left, the one with the most first. Accounts with the same
// are in random order. After an error, all are.
func (g *Governor) rooms(
	ctx context.Context, ca governed, q controlplane.QuotaRequest,
) ([]room, error) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
	defer cancel()
	rooms := make([]room, len(q.Accounts))
	reads := make([]reading, len(q.Accounts))
	pipe := g.cfg.Redis.Pipeline()
	for i, account := range shuffled(q.Accounts, g.cfg.Random) {
		rooms[i].account = account
		reads[i] = g.read(ctx, pipe, ca, q.For(account))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return rooms, err
	}
	for i := range rooms {
		reads[i].fill(&rooms[i], g.cfg.Now())
	}
	slices.SortStableFunc(rooms, func(a, b room) int {
		if a.wait > 0 || b.wait > 0 {
			return cmp.Compare(a.wait, b.wait)
		}
		return cmp.Compare(b.left, a.left)
	})
	return rooms, nil
}

// reading is the pending result of the commands that read an account's state.
type reading struct {
	bucket  *bucket // of new orders; nil without a limit
	full    *redis.StringCmd
	pause   *redis.StringCmd
	waiting *redis.IntCmd   // the number of orders in the queue
	places  []*redis.IntCmd // the order's place there, and in the queue of orders above their shares
}

func (g *Governor) read(
	ctx context.Context, pipe redis.Pipeliner, ca governed, q controlplane.QuotaRequest,
) reading {
	q.Replaces = false // what is left does not depend on the order
	r := reading{pause: pipe.HGet(ctx, ca.keys(q, nil)[0], "until")}
	orders := named(g.buckets(ca, q), controlplane.LimitNewOrders)
	if len(orders) == 0 {
		return r
	}
	r.bucket = &orders[0]
	r.full = pipe.Get(ctx, r.bucket.key)
	r.waiting = pipe.ZCard(ctx, r.bucket.queue)
	for _, queue := range r.bucket.queues() {
		r.places = append(r.places, pipe.ZRank(ctx, queue, q.Waiter))
	}
	return r
}

// fill computes what reserveScript would: a bucket with full time T holds burst - (T - now) / every
// tokens, of which those ahead in the queue get theirs first.
func (r reading) fill(into *room, now time.Time) {
	micros := func(c *redis.StringCmd) time.Duration {
		at, err := strconv.ParseFloat(c.Val(), 64)
		if err != nil {
			return 0
		}
		return max(time.UnixMicro(int64(at)).Sub(now), 0)
	}
	into.wait = micros(r.pause)
	if into.left = math.Inf(1); r.bucket == nil {
		return
	}
	ahead := r.waiting.Val()
	for _, place := range r.places {
		if place.Err() == nil {
			into.queued, ahead = true, place.Val()
		}
	}
	b := r.bucket
	into.left = b.burst - float64(micros(r.full))/float64(b.every) - b.keep - float64(ahead)
	if into.left < 1 {
		into.wait = max(into.wait, time.Duration((1-into.left)*float64(b.every)))
	}
}

// leave gives up the order's places in the queues of the other accounts. Without Redis, they end
// after their time.
func (g *Governor) leave(
	ctx context.Context, ca governed, q controlplane.QuotaRequest, rooms []room, chosen string,
) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
	defer cancel()
	pipe := g.cfg.Redis.Pipeline()
	q.Replaces = false
	for _, r := range rooms {
		if q.Waiter == "" || !r.queued || r.account == chosen {
			continue
		}
		for _, b := range named(g.buckets(ca, q.For(r.account)),
			controlplane.LimitNewOrders) {
			for _, queue := range b.queues() {
				pipe.ZRem(ctx, queue, q.Waiter)
				pipe.ZRem(ctx, queue+":told", q.Waiter)
			}
		}
	}
	if pipe.Len() > 0 {
		_, _ = pipe.Exec(ctx)
	}
}

// queues returns the queues of a bucket of new orders: for orders within and above their shares.
func (b bucket) queues() []string { return []string{b.queue, b.queue + ":over"} }

func shuffled(list []string, random func() float64) []string {
	out := slices.Clone(list)
	for i := len(out) - 1; i > 0; i-- {
		j := int(random() * float64(i+1))
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// AccountQuota is what one account has left of its limit of new orders.
type AccountQuota struct {
	CA      string
	Account string
	Left    float64 // including what is reserved for due renewals
}

// Left returns what each configured account has left. It omits accounts without a limit. It returns
// the error of Redis.
func (g *Governor) Left(ctx context.Context) ([]AccountQuota, error) {
	var out []AccountQuota
	for name, ca := range g.cas {
		q := controlplane.QuotaRequest{CA: name, Accounts: ca.accounts, Renewal: true}
		rooms, err := g.rooms(ctx, ca, q)
		if err != nil {
			return nil, err
		}
		for _, r := range rooms {
			if !math.IsInf(r.left, 1) {
				out = append(out, AccountQuota{CA: name, Account: r.account, Left: max(r.left, 0)})
			}
		}
	}
	return out, nil
}
