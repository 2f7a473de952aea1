package program

import (
	"context"
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/queue"
)

// stopMargin is the time to close connections after calls and jobs have had theirs.
const stopMargin = 5 * time.Second

// stopTime is the maximum duration of a shutdown, even if services hang. Deployments must wait
// longer before they kill the process.
func (c *Config) stopTime() time.Duration {
	return c.DrainDelay + max(c.GracePeriod, queue.FinishTimeout) + stopMargin
}

// Run starts the App, and stops it when ctx is canceled or a part fails. It returns at most
// Config.stopTime later.
func (a *App) Run(ctx context.Context) error {
	err := a.Start(ctx)
	if err == nil {
		if a.onStarted != nil {
			a.onStarted()
		}
		select {
		case <-ctx.Done():
		case err = <-a.failed:
		}
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.stopTime())
	defer cancel()
	if err == nil {
		a.drain(stop)
	}
	a.Stop(stop)
	return err
}

// drain reports that the App is not ready, and continues to serve for the drain delay, so that load
// balancers notice before the listeners close.
func (a *App) drain(ctx context.Context) {
	a.draining.Store(true)
	if a.api != nil {
		a.api.SetDraining()
	}
	if !a.parts.Serve && !a.parts.DNS {
		return // nothing is balanced
	}
	a.log.InfoContext(ctx, "draining", "delay", a.config.DrainDelay.String())
	select {
	case <-ctx.Done():
	case <-time.After(a.config.DrainDelay):
	}
}

// lastCalls makes clients open a new connection after a response while the App drains. Their next
// call then reaches another process.
func (a *App) lastCalls(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Stop shuts down the App gracefully: it reports that it is not ready, completes calls in progress,
// requeues its jobs, and stops the name server last, because the jobs need it. It returns when ctx
// ends at the latest.
func (a *App) Stop(ctx context.Context) {
	a.draining.Store(true)
	stopped := make(chan struct{})
	go func() {
		a.stop(ctx)
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		a.log.WarnContext(ctx, "the shutdown took too long and is incomplete")
	}
}

func (a *App) stop(ctx context.Context) {
	if a.stopWork != nil {
		a.stopWork()
	}
	a.stopWeb(ctx)
	a.working.Wait()
	a.stopWatching()
	if a.zone != nil {
		_ = a.zone.Stop(ctx)
	}
	shutDown(ctx, a.ops, time.Second)
	a.running.Wait()
	if a.engine != nil {
		a.engine.Close()
	}
	if a.redis != nil {
		_ = a.redis.Close()
	}
	a.limiter.Close()
	a.store.Close()
}

// stopWeb closes the listener of the API and the dashboard, then ends streams and waiting calls, so
// that their clients connect to another process, and completes the other calls.
func (a *App) stopWeb(ctx context.Context) {
	if a.web != nil {
		shutDown(ctx, a.web, a.config.GracePeriod)
	}
	if a.pages != nil {
		a.pages.SetStopping()
	}
	if a.api != nil {
		a.api.Close()
	}
}

// shutDown completes the requests of s, and cuts those that take longer than the grace period. s
// may be nil.
func shutDown(ctx context.Context, s *http.Server, grace time.Duration) {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		_ = s.Close()
	}
}
