package api

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// readyTimeout is how long a look at every part may take: load balancers ask every few
// seconds, and want an answer.
const readyTimeout = 3 * time.Second

// errPartTimeout is what a part is reported as that did not answer in time.
var errPartTimeout = errors.New("did not answer in time")

// Livez implements GET /livez: whoever gets an answer knows that the process lives.
func (a *API) Livez(context.Context, LivezRequestObject) (LivezResponseObject, error) {
	return Livez200JSONResponse{Status: HealthStatusOk}, nil
}

// Readyz implements GET /readyz. What is wrong with a part is logged; the answer, which
// needs no token, only says which.
func (a *API) Readyz(ctx context.Context, r ReadyzRequestObject) (ReadyzResponseObject, error) {
	checks := make(map[string]string)
	ready := !a.isStopping()
	if !ready {
		checks["server"] = "stopping"
	}
	parts := a.parts(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err // the caller is gone, so that nothing was found out
	}
	for part, err := range parts {
		checks[part] = "ok"
		if err == nil {
			continue
		}
		ready = false
		checks[part] = "unavailable"
		if e, ok := errors.AsType[*controlplane.Error](err); ok && e.Kind != controlplane.KindInternal {
			checks[part] = e.Message
		}
		a.log.LogAttrs(ctx, slog.LevelWarn, "not ready", slog.String("part", part), slog.Any("error", err))
	}
	body := Health{Status: HealthStatusOk}
	if r.Params.Verbose != nil {
		body.Checks = &checks
	}
	if !ready {
		body.Status = HealthStatusUnavailable
		return Readyz503JSONResponse(body), nil
	}
	return Readyz200JSONResponse(body), nil
}

// readiness is what the last look at every part found.
type readiness struct {
	mu    sync.Mutex
	at    time.Time
	parts map[string]error
}

// parts returns the state of every part. Probes always get an answer: a client network that
// sends more requests than it may shares one look a second, as each is a query.
func (a *API) parts(ctx context.Context) map[string]error {
	if a.limiter.CountNetwork(ctx, callOf(ctx).ip) == nil {
		return a.checkParts(ctx)
	}
	l := &a.readiness
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := a.now(); now.Sub(l.at) >= time.Second {
		l.parts, l.at = a.checkParts(ctx), now
	}
	return l.parts
}

// checkParts returns what Ready says, or that it said nothing in time.
func (a *API) checkParts(ctx context.Context) map[string]error {
	if a.config.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	said := make(chan map[string]error, 1)
	go func() { said <- a.config.Ready(ctx) }()
	select {
	case parts := <-said:
		return parts
	case <-ctx.Done():
		return map[string]error{"parts": errPartTimeout}
	}
}
