package acmedns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// Prefix is the path under which clients of every organization use the API. Its next segment can be
// a registration key.
const Prefix = "/acmedns"

const (
	// maxBody is the maximum size of a request's body. acme-dns has no limit.
	maxBody = 64 << 10
	// updatesAtOnce is how many updates a process executes at a time, each for up to
	// lifecycle.Config.PublishWait, and updatesOfOne is how many of one organization.
	updatesAtOnce, updatesOfOne = 1024, 256
)

// Config configures the API. Store, Lifecycle, and Zone are required.
type Config struct {
	Store     *postgres.Store
	Lifecycle *lifecycle.Service
	Zone      string // validation zone, without a trailing dot

	// Organization is the ID of the organization that acme-dns's own paths (/register, /update) are
	// for. Anyone can register accounts there. Empty: these paths are not served.
	Organization string

	// Limiter limits registrations, updates, and failed authentications. Nil: no limits.
	Limiter *edge.Limiter

	// CORSOrigins are the origins whose pages can use the API; "*" is any origin. Empty: none.
	CORSOrigins []string

	// TrustedProxy means that the peer is our proxy, whose last entry in X-Forwarded-For is the
	// client. Otherwise the header is ignored.
	TrustedProxy bool

	Now        func() time.Time      // time.Now if nil
	Logger     *slog.Logger          // discards if nil
	Registerer prometheus.Registerer // no metrics are registered if nil
}

// Server is the HTTP handler of the API.
type Server struct {
	Config
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	updates  *controlplane.Gate
	cors     *edge.CORS
}

// New returns the handler. Its error names the missing configuration.
func New(c Config) (*Server, error) {
	if c.Store == nil || c.Lifecycle == nil || c.Zone == "" {
		return nil, errors.New("acmedns: Store, Lifecycle, and Zone are required")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	s := &Server{Config: c, updates: controlplane.NewGate(updatesAtOnce, updatesOfOne),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dcvaas_acmedns_requests_total",
			Help: "Requests to the acme-dns API, by operation and status.",
		}, []string{"operation", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "dcvaas_acmedns_request_duration_seconds",
			Help: "Duration of requests to the acme-dns API. An update ends when every name " +
				"server serves its value.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25},
		}, []string{"operation"})}
	var err error
	if s.cors, err = edge.NewCORS(c.CORSOrigins, []string{http.MethodGet, http.MethodPost},
		[]string{"Content-Type", "X-Api-Key", "X-Api-User"},
		[]string{"Request-Id", "Retry-After"}); err != nil {
		return nil, fmt.Errorf("acmedns: CORSOrigins: %w", err)
	}
	if c.Registerer != nil {
		for _, m := range []prometheus.Collector{s.requests, s.seconds} {
			if err := c.Registerer.Register(m); err != nil {
				return nil, fmt.Errorf("acmedns: metrics: %w", err)
			}
		}
	}
	return s, nil
}

// Serves reports whether a request is for this API: a path below Prefix or, if an organization is
// configured for them, one of acme-dns's own.
func (s *Server) Serves(r *http.Request) bool {
	path := r.URL.Path
	if path == Prefix || strings.HasPrefix(path, Prefix+"/") {
		return true
	}
	if s.Organization == "" {
		return false
	}
	_, known := methods[strings.TrimPrefix(path, "/")]
	return known
}

// methods are the methods of the operations.
var methods = map[string]string{"register": http.MethodPost, "update": http.MethodPost,
	"delete": http.MethodPost, "health": http.MethodGet}

// call is the request that is being served.
type call struct {
	operation string // of methods; "" for another path
	key       string // registration key in the path; "" without one
	root      bool   // one of acme-dns's own paths
	ip        string
	requestID string
	orgID     string // as far as it is known, for the log
	err       error  // cause of a status from 500, for the log
}

// split returns the call of a path.
func split(path string) *call {
	rest, below := strings.CutPrefix(path, Prefix)
	rest = strings.TrimPrefix(rest, "/")
	if !below {
		return &call{operation: known(rest), root: true}
	}
	if key, operation, ok := strings.Cut(rest, "/"); ok {
		return &call{operation: known(operation), key: key}
	}
	return &call{operation: known(rest)}
}

// known returns the operation, or "" for an unknown name, so that clients cannot create
// time series.
func known(operation string) string {
	if methods[operation] == "" {
		return ""
	}
	return operation
}

// ServeHTTP serves, logs, and counts one request. A panic becomes a 500.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := s.Now()
	c := split(r.URL.Path)
	c.ip, c.requestID = edge.ClientIP(r, s.TrustedProxy), edge.RequestID(r)
	out := &writer{ResponseWriter: w}
	out.Header().Set("Request-Id", c.requestID)
	out.Header().Set("Cache-Control", "no-store")
	out.Header().Set("X-Content-Type-Options", "nosniff")
	defer func() {
		edge.Recovered(r.Context(), s.Logger, c.requestID, recover(), func() {
			writeError(out, http.StatusInternalServerError, "internal")
		})
		s.done(r.Context(), c, out.status, s.Now().Sub(start))
	}()
	if s.cors.Allow(out.Header(), r) {
		out.WriteHeader(http.StatusNoContent)
		return
	}
	r.Body = http.MaxBytesReader(out, r.Body, maxBody)
	s.serve(out, r, c)
}

func (s *Server) serve(w *writer, r *http.Request, c *call) {
	switch method := methods[c.operation]; {
	case c.operation == "":
		http.NotFound(w, r)
	case r.Method == http.MethodOptions:
		w.Header().Set("Allow", method+", "+http.MethodOptions)
		w.WriteHeader(http.StatusOK)
	case r.Method != method && (r.Method != http.MethodHead || method != http.MethodGet):
		w.Header().Set("Allow", method)
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed),
			http.StatusMethodNotAllowed)
	case c.operation == "health":
		w.WriteHeader(http.StatusOK)
	case c.operation == "register":
		s.register(w, r, c)
	case c.operation == "update":
		s.update(w, r, c, true)
	default:
		s.update(w, r, c, false)
	}
}

// done writes the log and the metrics. It logs the operation instead of the path, which can contain
// a registration key.
func (s *Server) done(ctx context.Context, c *call, status int, took time.Duration) {
	if ctx.Err() != nil {
		status = edge.StatusClientClosedRequest
	}
	operation := cmp.Or(c.operation, "none")
	s.requests.WithLabelValues(operation, fmt.Sprint(status)).Inc()
	s.seconds.WithLabelValues(operation).Observe(took.Seconds())
	level := slog.LevelInfo
	switch {
	case c.operation == "health":
		level = slog.LevelDebug
	case c.err != nil:
		level = slog.LevelWarn
	}
	if !s.Logger.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("request_id", c.requestID),
		slog.String("operation", operation), slog.Int("status", status),
		slog.Duration("took", took), slog.String("ip", c.ip)}
	if c.orgID != "" {
		attrs = append(attrs, slog.String("org_id", c.orgID))
	}
	if c.err != nil {
		attrs = append(attrs, slog.Any("error", c.err))
	}
	s.Logger.LogAttrs(ctx, level, "acme-dns request", attrs...)
}

// writer records the status of a response.
type writer struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap supports http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
