package edge

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// limiterTimeout is the timeout of a query to Redis.
	limiterTimeout = 50 * time.Millisecond
	// limiterPause is the pause after Redis failed to respond.
	limiterPause = time.Second
	// deniedFor is how long a subject over its limit is denied at most before Redis is queried
	// again: a flood causes one query per second.
	deniedFor = time.Second
	// maxDenied is the maximum number of remembered subjects over a limit.
	maxDenied = 50_000
)

// LimiterConfig configures a Limiter.
type LimiterConfig struct {
	// RedisURL is the Redis that counts requests, redis://…, the same for every process.
	RedisURL string
	// Key is the key of the hashes in Redis keys, so that they reveal no addresses.
	Key []byte
	// Limits are the policies; controlplane.DefaultLimits if zero.
	Limits controlplane.Limits
	// Timeout is how long a request waits to be counted before it passes uncounted; 50 ms if zero.
	Timeout time.Duration

	Now        func() time.Time      // time.Now if nil
	Logger     *slog.Logger          // discards if nil
	Registerer prometheus.Registerer // no metrics are registered if nil
}

// Limiter counts requests by policy and subject in Redis (GCRA), across all processes. While Redis
// is unreachable, requests pass uncounted: one request per second checks whether it is back, and
// the others do not wait. A nil Limiter has no limits.
type Limiter struct {
	controlplane.Limits

	client  *redis.Client
	rate    *redis_rate.Limiter
	key     []byte
	timeout time.Duration
	now     func() time.Time
	log     *slog.Logger
	pause   atomic.Int64 // Unix nanoseconds until which Redis is not queried; 0 while it responds
	denied  recent[denial]
	callers recent[Caller] // by hash of the credential

	away    prometheus.Counter
	refused *prometheus.CounterVec
}

// Verdict is the result of one count.
type Verdict struct {
	Allowed bool
	Counted bool          // false if Redis is unreachable or nothing is limited
	Left    int           // how many requests can follow immediately
	Reset   time.Duration // until all are available; 0 unless Allowed
	Retry   time.Duration // until one is available; 0 if Allowed
}

// denial is a remembered subject over its limit.
type denial struct {
	until time.Time // the next request passes then
	asks  time.Time // when Redis is queried again
}

// NewLimiter returns a Limiter. It does not connect to Redis.
func NewLimiter(c LimiterConfig) (*Limiter, error) {
	opt, err := redis.ParseURL(c.RedisURL)
	if err != nil {
		return nil, errors.New("edge: invalid Redis URL") // the URL can contain a password
	}
	l := &Limiter{Limits: cmp.Or(c.Limits, controlplane.DefaultLimits()), key: c.Key,
		timeout: cmp.Or(c.Timeout, limiterTimeout), now: c.Now,
		log:     cmp.Or(c.Logger, slog.New(slog.DiscardHandler)),
		denied:  recent[denial]{life: deniedFor, max: maxDenied},
		callers: recent[Caller]{life: callerLife, max: maxCallers},
		away: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dcvaas_rate_limiter_away_total",
			Help: "Requests that passed a rate limit uncounted, because Redis did not respond.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dcvaas_rate_limited_total", Help: "Requests over a rate limit, by its policy.",
		}, []string{"policy"})}
	if l.now == nil {
		l.now = time.Now
	}
	if c.Registerer != nil {
		for _, m := range []prometheus.Collector{l.away, l.refused} {
			if err := c.Registerer.Register(m); err != nil {
				return nil, fmt.Errorf("edge: metrics: %w", err)
			}
		}
	}
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout, opt.PoolTimeout = l.timeout, l.timeout,
		l.timeout, l.timeout
	opt.ContextTimeoutEnabled, opt.MaxRetries, opt.DialerRetries = true, -1, 1
	l.client = redis.NewClient(opt)
	l.rate = redis_rate.NewLimiter(l.client)
	return l, nil
}

// Close closes the connections to Redis.
func (l *Limiter) Close() {
	if l != nil {
		_ = l.client.Close()
	}
}

// Take counts one request of subject by the policy.
func (l *Limiter) Take(ctx context.Context, p controlplane.Policy, subject string) Verdict {
	if l == nil {
		return Verdict{Allowed: true}
	}
	key, now := l.keyOf(p, subject), l.now()
	if d, ok := l.denied.get(key, now); ok && now.Before(d.asks) {
		l.refused.WithLabelValues(p.Name).Inc()
		return Verdict{Counted: true, Retry: d.until.Sub(now)}
	}
	result, ok := l.allow(ctx, key, p.RateLimit, 1)
	if !ok {
		return Verdict{Allowed: true}
	}
	if result.Allowed > 0 {
		return Verdict{Allowed: true, Counted: true,
			Left: callsLeft(p.RateLimit, result.ResetAfter), Reset: result.ResetAfter}
	}
	l.refused.WithLabelValues(p.Name).Inc()
	l.denied.put(key, denial{now.Add(result.RetryAfter),
		now.Add(min(result.RetryAfter, deniedFor))}, now)
	return Verdict{Counted: true, Retry: result.RetryAfter}
}

// Check is Take for a caller that needs only the error: nil, or p.Exceeded.
func (l *Limiter) Check(ctx context.Context, p controlplane.Policy, subject string) error {
	if v := l.Take(ctx, p, subject); !v.Allowed {
		return p.Exceeded(l.now().Add(v.Retry))
	}
	return nil
}

// GiveBack reverts one count.
func (l *Limiter) GiveBack(ctx context.Context, p controlplane.Policy, subject string) {
	if l == nil {
		return
	}
	key := l.keyOf(p, subject)
	l.denied.drop(key)
	l.allow(ctx, key, p.RateLimit, -1)
}

// allow counts n in Redis. It returns false if Redis does not respond.
func (l *Limiter) allow(
	ctx context.Context, key string, limit controlplane.RateLimit, n int,
) (*redis_rate.Result, bool) {
	var result *redis_rate.Result
	ok := l.query(ctx, func(ctx context.Context) (err error) {
		result, err = l.rate.AllowN(ctx, key,
			redis_rate.Limit{Rate: limit.Calls, Burst: limit.Calls, Period: limit.Window}, n)
		return err
	})
	return result, ok
}

// query runs a query to Redis, except during a pause. It returns false, and counts the failure, if
// Redis does not respond.
func (l *Limiter) query(ctx context.Context, run func(context.Context) error) bool {
	until := l.pause.Load()
	if now := time.Now(); until != 0 && (now.UnixNano() < until ||
		!l.pause.CompareAndSwap(until, now.Add(limiterPause).UnixNano())) {
		l.away.Inc()
		return false
	}
	bounded, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	err := run(bounded)
	if err == nil {
		if until != 0 {
			l.pause.Store(0)
		}
		return true
	}
	if ctx.Err() != nil {
		return false // the client disconnected, which says nothing about Redis
	}
	l.away.Inc()
	l.pause.Store(time.Now().Add(limiterPause).UnixNano())
	l.log.LogAttrs(ctx, slog.LevelWarn, "edge: rate limiter unavailable", slog.Any("error", err))
	return false
}

// keyOf returns the key under which a subject is counted, a keyed hash.
func (l *Limiter) keyOf(p controlplane.Policy, subject string) string {
	return l.redisKey(p.Name, subject)
}

func (l *Limiter) redisKey(kind, subject string) string {
	mac := hmac.New(sha256.New, l.key)
	mac.Write([]byte(kind + "\x00" + subject))
	return "dcvaas:" + kind + ":" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// callsLeft returns how many requests can follow immediately if all are available after reset.
// Redis's own figure is one too low if its arithmetic falls just short of a whole number.
func callsLeft(limit controlplane.RateLimit, reset time.Duration) int {
	each := float64(limit.Window) / float64(limit.Calls)
	return max(limit.Calls-int(math.Ceil(float64(reset)/each-0.001)), 0)
}
