package api

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// limiterTimeout is how long a call waits for Redis at most.
	limiterTimeout = 50 * time.Millisecond
	// limiterPause is for how long Redis is left alone after it did not answer.
	limiterPause = time.Second
	// policyName names the one limit there is in the headers.
	policyName = `"organization"`
)

// errLimiterAway says that nobody counts at the moment.
var errLimiterAway = errors.New("api: the rate limiter is away")

// limiter counts the calls of each organization in Redis (GCRA), so that all processes count
// together. Without Redis calls go through: one a second finds out whether it is back, and
// the others do not wait for it.
type limiter struct {
	client  *redis.Client
	rate    *redis_rate.Limiter
	timeout time.Duration
	pause   atomic.Int64 // Unix nanoseconds until which Redis is left alone; 0 while it answers
}

func newLimiter(redisURL string, timeout time.Duration) (*limiter, error) {
	opt, err := redis.ParseURL(redisURL)
	if err != nil {
		return nil, errors.New("api: the Redis URL cannot be read") // its text may hold a password
	}
	if timeout == 0 {
		timeout = limiterTimeout
	}
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout, opt.PoolTimeout = timeout, timeout, timeout, timeout
	opt.ContextTimeoutEnabled, opt.MaxRetries, opt.DialerRetries = true, -1, 1
	client := redis.NewClient(opt)
	return &limiter{client: client, rate: redis_rate.NewLimiter(client), timeout: timeout}, nil
}

// take counts one call. Its error is errLimiterAway, or that of Redis where this call found
// out that it is away.
func (l *limiter) take(ctx context.Context, org string, limit controlplane.RateLimit) (*redis_rate.Result, error) {
	until := l.pause.Load()
	if now := time.Now(); until != 0 && (now.UnixNano() < until || !l.pause.CompareAndSwap(until, now.Add(limiterPause).UnixNano())) {
		return nil, errLimiterAway
	}
	ask, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	result, err := l.rate.Allow(ask, "dcvaas:"+org, redis_rate.Limit{Rate: limit.Calls, Burst: limit.Calls, Period: limit.Window})
	switch {
	case err == nil:
		if until != 0 {
			l.pause.Store(0)
		}
		return result, nil
	case ctx.Err() != nil:
		return nil, errLimiterAway // the caller's doing
	}
	l.pause.Store(time.Now().Add(limiterPause).UnixNano())
	return nil, err
}

// limit counts a call against its organization's limit and says in the answer how many are
// left (draft-ietf-httpapi-ratelimit-headers-10).
func (a *API) limit(w http.ResponseWriter, r *http.Request, c *call) error {
	if a.limiter == nil {
		return nil
	}
	limit := c.principal.tier.RateLimit()
	h := w.Header()
	h.Set("RateLimit-Policy", policyName+";q="+strconv.Itoa(limit.Calls)+";w="+seconds(limit.Window))
	result, err := a.limiter.take(r.Context(), c.principal.org(), limit)
	if err != nil {
		a.metrics.limiterAway.Inc()
		if !errors.Is(err, errLimiterAway) {
			a.log.LogAttrs(r.Context(), slog.LevelWarn, "rate limits are not kept: Redis is away", slog.Any("error", err))
		}
		return nil
	}
	if result.Allowed > 0 {
		h.Set("RateLimit", policyName+";r="+strconv.Itoa(callsLeft(limit, result.ResetAfter))+";t="+seconds(result.ResetAfter))
		return nil
	}
	h.Set("RateLimit", policyName+";r=0;t="+seconds(result.RetryAfter))
	return &controlplane.Error{Kind: controlplane.KindRateLimited, Code: "rate-limited", RetryAt: a.now().Add(result.RetryAfter),
		Message: "The organization's plan includes " + strconv.Itoa(limit.Calls) + " calls in " + seconds(limit.Window) + " seconds, and they are used up for now."}
}

// callsLeft returns how many calls may follow at once when all are back after the given time.
// Redis's own figure is one too low where its arithmetic falls just short of a whole number.
func callsLeft(limit controlplane.RateLimit, reset time.Duration) int {
	each := float64(limit.Window) / float64(limit.Calls)
	return max(limit.Calls-int(math.Ceil(float64(reset)/each-0.001)), 0)
}

// seconds writes a duration in whole seconds, rounded up.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
