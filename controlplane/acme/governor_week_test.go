package acme_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// TestGovernorWeek simulates 200 workers with two governors, as of two processes, for a week with
// Let's Encrypt's limits and more orders than these allow. An exact model of the limits then
// receives the permitted orders, up to 20 s late: it rejects none of them, and nearly all of its
// capacity is used.
func TestGovernorWeek(t *testing.T) {
	t.Parallel()
	bothRedis(t, func(t *testing.T, server *devstack.Redis) {
		length, demand := 7*24*time.Hour, 6700
		if server.Embedded() || testing.Short() {
			length, demand = 24*time.Hour, 1200
		}
		liveThrough(t, server, length, demand)
	})
}

// weekOrder is a requested order.
type weekOrder struct {
	q    controlplane.QuotaRequest
	due  time.Time
	done time.Time // when it reached the CA
	asks int
}

func liveThrough(t *testing.T, server *devstack.Redis, length time.Duration, demand int) {
	const workers, tick, late = 200, time.Minute, 20 * time.Second
	c := newClock()
	start := c.now()
	limits, _ := acme.DefaultLimits(letsEncrypt)
	// a third of the orders shows the same in a third of the time
	limits.NewOrdersPerAccount.Count /= 3
	// the clock advances by minutes
	limits.Pace = acme.Limit{Count: limits.Pace.Count * 60, Per: limits.Pace.Per * 60}
	var governors [2]*acme.Governor
	for i := range governors {
		governors[i] = governor(t, server, c, func(cfg *acme.GovernorConfig) {
			cfg.Margin = 0 // the default
			cfg.CAs[0].Limits = &limits
		})
	}
	random := rand.New(rand.NewPCG(1, uint64(demand)))
	orders := make([]*weekOrder, demand)
	for i := range orders {
		o := &weekOrder{due: start, q: controlplane.QuotaRequest{CA: "letsencrypt",
			Names: []string{weekName(random, i)}, Waiter: fmt.Sprint("job", i),
			OrderID: fmt.Sprint("ord", i)}}
		if i%5 > 0 { // a fifth is due at the start
			o.due = start.Add(time.Duration(random.Float64() * float64(length)))
		}
		o.q.Renewal = i%6 == 0
		o.q.Replaces = i%12 == 0
		orders[i] = o
	}

	var asked, granted atomic.Int64
	for ; c.now().Before(start.Add(length)); c.advance(tick) {
		now := c.now()
		work := make(chan *weekOrder)
		var wg sync.WaitGroup
		due := slices.DeleteFunc(slices.Clone(orders),
			func(o *weekOrder) bool { return !o.done.IsZero() || o.due.After(now) })
		for i := range min(workers, len(due)) {
			wg.Go(func() {
				for o := range work {
					o.asks++
					asked.Add(1)
					d, err := governors[i%2].Reserve(t.Context(), o.q)
					switch {
					case err != nil || d.Bypassed:
						t.Errorf("Reserve = %+v, %v; want a decision by Redis", d, err)
						o.due = now.Add(length)
					case d.OK:
						granted.Add(1)
						o.done = now.Add(time.Duration(rand.Float64() * float64(late)))
					case !d.WaitUntil.After(now):
						t.Errorf("WaitUntil = %s, want a time in the future", d.WaitUntil)
						o.due = now.Add(length)
					default:
						o.due = d.WaitUntil
					}
				}
			})
		}
		for _, o := range due {
			work <- o
		}
		close(work)
		wg.Wait()
	}

	placed := slices.DeleteFunc(slices.Clone(orders),
		func(o *weekOrder) bool { return o.done.IsZero() })
	slices.SortFunc(placed, func(a, b *weekOrder) int { return a.done.Compare(b.done) })
	model := weekModel{}
	counted, refused := 0, 0
	for _, o := range placed {
		if o.q.Replaces {
			continue
		}
		counted++
		ok := model.take(limits.NewOrdersPerAccount, "account", o.done)
		ok = model.take(limits.CertificatesPerRegisteredDomain,
			"domain "+controlplane.RegisteredDomain(o.q.Names[0]), o.done) && ok
		ok = model.take(limits.DuplicateCertificates, "names "+o.q.Names[0], o.done) && ok
		if !ok {
			refused++
		}
	}
	possible := float64(limits.NewOrdersPerAccount.Count) +
		length.Seconds()/limits.NewOrdersPerAccount.Per.Seconds()*float64(
			limits.NewOrdersPerAccount.Count)
	used := float64(counted) / min(possible, float64(demand)*11/12)
	t.Logf("%d orders requested, %d placed, of which %d count: %.1f%% of the limits; %.2f requests per order", demand, len(placed), counted, 100*used, float64(asked.Load())/float64(len(placed)))
	if refused > 0 {
		t.Errorf("orders over the model's limits = %d, want 0", refused)
	}
	if used < 0.9 {
		t.Errorf("used share of the limits = %.1f%%, want nearly all", 100*used)
	}
	if perOrder := float64(asked.Load()) / float64(demand); perOrder > 4 {
		t.Errorf("requests per order = %.2f: waiting orders return too often", perOrder)
	}
	for _, o := range orders {
		if o.q.Replaces && o.done.IsZero() {
			t.Errorf("unlimited renewal not placed: %+v after %d requests", o.q, o.asks)
			break
		}
	}
}

// weekName gives some domains many names and requests some names repeatedly.
func weekName(random *rand.Rand, i int) string {
	switch {
	case i%20 == 1:
		return fmt.Sprintf("h%d.big%d.example", i, random.IntN(4))
	case i%50 == 2:
		return fmt.Sprintf("again%d.example", random.IntN(20))
	}
	return fmt.Sprintf("d%d.example", i)
}

// weekModel contains token buckets as Let's Encrypt describes them. It counts tokens instead of
// times, so that it shares nothing with the code that it checks.
type weekModel map[string]*struct {
	tokens float64
	at     time.Time
}

func (m weekModel) take(limit acme.Limit, key string, at time.Time) bool {
	b := m[key]
	if b == nil {
		b = &struct {
			tokens float64
			at     time.Time
		}{float64(limit.Count), at}
		m[key] = b
	}
	b.tokens = min(b.tokens+at.Sub(b.at).Seconds()/limit.Per.Seconds()*float64(limit.Count),
		float64(limit.Count))
	b.at = at
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
