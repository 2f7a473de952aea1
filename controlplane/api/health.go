package api

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// readyTimeout is the timeout of a readiness check: load balancers check every few seconds.
const readyTimeout = 3 * time.Second

// errPartTimeout is reported for a part that did not respond in time.
var errPartTimeout = errors.New("timed out")

// Degraded is the state of a part that works only in part, in public words. As an error of
// Config.Ready, it is shown and does not affect readiness.
type Degraded string

// Error implements error.
func (d Degraded) Error() string { return string(d) }

// Livez implements GET /livez. Any response means that the process is running.
func (a *API) Livez(context.Context, LivezRequestObject) (LivezResponseObject, error) {
	return Livez200JSONResponse{Status: HealthStatusOk}, nil
}

// Readyz implements GET /readyz. Problems of a part are logged. The response, which needs no token,
// contains only their state.
func (a *API) Readyz(ctx context.Context, r ReadyzRequestObject) (ReadyzResponseObject, error) {
	checks := make(map[string]string)
	ready := !a.draining.Load() && !a.isStopping()
	var parts map[string]error
	if ready {
		parts = a.parts(ctx)
	} else {
		checks["server"] = "stopping"
	}
	if err := ctx.Err(); err != nil {
		return nil, err // the client disconnected, so the checks are inconclusive
	}
	for part, err := range parts {
		checks[part] = "ok"
		if err == nil {
			continue
		}
		if state, ok := errors.AsType[Degraded](err); ok {
			checks[part] = string(state)
			continue
		}
		ready = false
		checks[part] = "unavailable"
		if e, ok := errors.AsType[*controlplane.Error](err); ok &&
			e.Kind != controlplane.KindInternal {
			checks[part] = e.Message
		}
		if _, ok := errors.AsType[*controlplane.SetupError](err); ok {
			checks[part] = "misconfigured"
		}
		a.log.LogAttrs(ctx, slog.LevelWarn, "not ready", slog.String("part", part),
			slog.Any("error", err))
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

// readiness is the result of the last check of all parts.
type readiness struct {
	mu    sync.Mutex
	at    time.Time
	parts map[string]error
}

// parts returns the state of every part. Probes always get a response. A client network that
// exceeds its limit shares one check per second, because each check sends queries.
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

// checkParts returns the result of Ready, or a timeout.
func (a *API) checkParts(ctx context.Context) map[string]error {
	if a.config.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	result := make(chan map[string]error, 1)
	go func() { result <- a.config.Ready(ctx) }()
	select {
	case parts := <-result:
		return parts
	case <-ctx.Done():
		return map[string]error{"parts": errPartTimeout}
	}
}
