package api

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// metrics are labeled by route template, never by a path with an ID.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dcvaas_http_requests_total", Help: "API requests served.",
		}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "dcvaas_http_request_duration_seconds",
			Help:    "Duration of API requests, except those held open by wait.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"method", "route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "dcvaas_http_requests_in_flight", Help: "API requests in progress.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.inFlight} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// done writes the access log and the metrics. Headers and the query are not logged, because they
// can contain secrets.
func (a *API) done(ctx context.Context, c *call, method, path string, w *writer) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	status := w.status
	if c.gone || w.broken {
		status = edge.StatusClientClosedRequest // even if the response had started
	}
	route, level := "none", slog.LevelInfo
	if c.op != nil {
		route = c.op.path
		if !c.op.secured {
			level = slog.LevelDebug // health checks arrive every few seconds
		}
	}
	took := a.now().Sub(c.began)
	label := methodLabel(method)
	a.metrics.requests.WithLabelValues(label, route, strconv.Itoa(status)).Inc()
	if !c.waited {
		a.metrics.seconds.WithLabelValues(label, route).Observe(took.Seconds())
	}
	if !a.log.Enabled(ctx, level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 11), // capacity for all attributes below
		slog.String("request_id", c.requestID), slog.String("method", label),
		slog.String("route", route),
		slog.String("path", path[:min(len(path), 256)]), slog.Int("status", status),
		slog.Int64("bytes", w.bytes),
		slog.Duration("took", took), slog.String("ip", c.ip))
	if p := c.principal; p.orgID != "" {
		attrs = append(attrs, slog.String("org_id", p.orgID),
			slog.String(string(p.actor.Type)+"_id", p.actor.ID))
	}
	if c.err != nil {
		attrs = append(attrs, slog.String("code", asHTTPError(c.err).problem.Code))
	}
	a.log.LogAttrs(ctx, level, "request", attrs...)
}

// methodLabel limits the label to known methods, so that clients cannot create time series.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}
