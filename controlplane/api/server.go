package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// callTimeout is the timeout of a call, in addition to its `wait`.
	callTimeout = 30 * time.Second
	// minCursorKey is the minimum length of an HMAC key (RFC 2104 §3: the hash's length).
	minCursorKey = 32
)

// Config configures the API.
type Config struct {
	Store     *postgres.Store
	Lifecycle *lifecycle.Service

	// Sealer seals stored responses of calls with an Idempotency-Key.
	Sealer edge.Sealer

	// CursorKey authenticates the cursors of lists. It has at least 32 bytes, the same in every
	// process, so that any process can serve the next page.
	CursorKey []byte

	// Limiter limits calls by organization, session, user, and client network. Nil: no limits. Its
	// owner closes it.
	Limiter *edge.Limiter

	// Streams limits event streams and calls with wait that are held open. The dashboard of the
	// process shares it. Nil: no limits.
	Streams *edge.Streams

	// Diagnoses limits the diagnoses in progress. The dashboard of the process shares it. Nil: the
	// API has its own.
	Diagnoses *edge.Diagnoses

	// PublicURL is the public URL of this service, without a trailing slash. The `type` of every
	// error starts with it.
	PublicURL string

	// CORSOrigins are the origins whose pages can call the API with a token, such as
	// https://app.example.com; "*" is any origin. Empty: none.
	CORSOrigins []string

	// GitHub finds accounts by login, for invitations. Nil: users cannot be invited by login.
	GitHub GitHub

	// Ready checks every part that serving requires and returns the problem of each, nil without a
	// problem. It must return when its context is canceled. Nil: nothing is checked.
	Ready func(ctx context.Context) map[string]error

	// TrustedProxy means that the peer is our proxy, whose last entry in X-Forwarded-For is the
	// client. Otherwise the header is ignored, because anyone can send it.
	TrustedProxy bool

	Now        func() time.Time      // time.Now if nil
	Logger     *slog.Logger          // discards if nil
	Registerer prometheus.Registerer // no metrics are registered if nil
}

// API is the HTTP handler of the REST API, the health checks, and the problem pages.
type API struct {
	config     Config
	store      *postgres.Store
	lifecycle  *lifecycle.Service
	now        func() time.Time
	log        *slog.Logger
	metrics    *metrics
	router     *mux.Router
	operations map[*mux.Route]*operation
	contract   *asset            // as JSON
	reference  map[string]*asset // files of the API reference by name
	pages      problemPages
	cookie     string                      // name of the session cookie
	origins    *http.CrossOriginProtection // for calls with a session
	cors       *edge.CORS
	sessions   edge.Sessions
	cursors    edge.Cursors
	touched    touched
	limiter    *edge.Limiter // nil: calls are not limited
	lookups    *edge.Lookups // nil without GitHub
	readiness  readiness
	feeds      *feeds
	heartbeat  time.Duration
	places     *controlplane.Gate // slots of calls in progress
	diagnoses  *edge.Diagnoses
	exports    *controlplane.Gate
	draining   atomic.Bool
	stopping   chan struct{}
	stop       sync.Once
}

var (
	_ http.Handler          = (*API)(nil)
	_ StrictServerInterface = (*API)(nil)
)

// New returns the API. Its error names the invalid configuration or the problem in the contract.
func New(c Config) (*API, error) {
	if c.Store == nil || c.Lifecycle == nil || c.Sealer == nil {
		return nil, errors.New("api: Store, Lifecycle, and Sealer are required")
	}
	if len(c.CursorKey) < minCursorKey {
		return nil, fmt.Errorf("api: CursorKey has %d bytes: must have at least %d",
			len(c.CursorKey), minCursorKey)
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	a := &API{config: c, store: c.Store, lifecycle: c.Lifecycle, now: c.Now,
		log: cmp.Or(c.Logger, slog.New(slog.DiscardHandler)), limiter: c.Limiter,
		stopping: make(chan struct{})}
	if a.now == nil {
		a.now = time.Now
	}
	var err error
	if a.origins, _, err = edge.Origins(c.PublicURL); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	a.cookie = controlplane.SessionCookie(strings.HasPrefix(c.PublicURL, "https:"))
	a.sessions = edge.Sessions{Store: c.Store, Limiter: c.Limiter, Log: a.log}
	a.cursors = edge.Cursors{Key: c.CursorKey}
	if a.metrics, err = newMetrics(c.Registerer); err != nil {
		return nil, fmt.Errorf("api: metrics: %w", err)
	}
	table, contract, err := readContract()
	if err != nil {
		return nil, fmt.Errorf("api: contract: %w", err)
	}
	if a.cors, err = newCORS(c.CORSOrigins, table); err != nil {
		return nil, fmt.Errorf("api: CORSOrigins: %w", err)
	}
	if c.GitHub != nil {
		a.lookups = edge.NewLookups(c.Limiter, a.now, c.GitHub.LookUp)
	}
	a.contract = &asset{contentType: mediaJSON,
		cacheControl: "no-cache", zipped: compress(contract)}
	if a.reference, err = reference(); err != nil {
		return nil, fmt.Errorf("api: reference: %w", err)
	}
	a.pages = newProblemPages(c.PublicURL)
	a.feeds, a.heartbeat = newFeeds(c.Store, a.log), edge.Heartbeat
	a.places = newPlaces(a.store.MaxConns())
	if a.diagnoses = c.Diagnoses; a.diagnoses == nil {
		a.diagnoses = edge.NewDiagnoses()
	}
	a.exports = edge.NewExports()
	return a, a.route(table)
}

// SetDraining makes /readyz return 503. Calls are still accepted.
func (a *API) SetDraining() { a.draining.Store(true) }

// SetStopping makes /readyz return 503 and ends every stream and every `wait` immediately, with the
// current state, so that connections drain. Call it after closing the listener: clients reconnect
// at once. It is idempotent.
func (a *API) SetStopping() { a.stop.Do(func() { close(a.stopping) }) }

// Close releases the resources of the API. Call it before closing the store. No call may be in
// progress or follow.
func (a *API) Close() {
	a.SetStopping()
	a.feeds.close()
}

func (a *API) isStopping() bool {
	select {
	case <-a.stopping:
		return true
	default:
		return false
	}
}

// route wires the generated handlers into a flat router: mux returns 405 for other methods only
// without subrouters. It maps each route to its operation in the contract once, so that a request
// is routed once.
func (a *API) route(table map[string]*operation) error {
	strict := NewStrictHandlerWithOptions(a, []StrictMiddlewareFunc{leaves},
		StrictHTTPServerOptions{
			RequestErrorHandlerFunc:  a.requestProblem,
			ResponseErrorHandlerFunc: a.problem,
		})
	// Paths are not cleaned: mux would redirect, which turns a POST into a GET.
	a.router = mux.NewRouter().SkipClean(true)
	HandlerWithOptions(strict, GorillaServerOptions{BaseRouter: a.router,
		ErrorHandlerFunc: a.requestProblem})
	a.operations = make(map[*mux.Route]*operation, len(table))
	err := a.router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := route.GetMethods()
		if err != nil {
			return err
		}
		op := table[methods[0]+" "+path]
		if op == nil {
			return fmt.Errorf("%s %s is routed but not in the contract", methods[0], path)
		}
		a.operations[route] = op
		return nil
	})
	if err != nil {
		return fmt.Errorf("api: routes: %w", err)
	}
	if len(a.operations) != len(table) {
		return fmt.Errorf("api: the contract has %d operations, of which %d are routed", len(table),
			len(a.operations))
	}
	a.router.Use(a.guard)
	a.router.NotFoundHandler = http.HandlerFunc(a.noSuchPath)
	a.router.MethodNotAllowedHandler = http.HandlerFunc(a.methodNotAllowed)
	return nil
}

// guard passes a request to its handler if it meets the requirements of its operation.
func (a *API) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := callOf(r.Context())
		c.op = a.operations[mux.CurrentRoute(r)]
		a.setDeprecations(w.Header(), r, c.op)
		if err := a.admit(w, r, c); err != nil {
			a.problem(w, r, err)
			return
		}
		if err := c.op.check(w, r); err != nil {
			a.problem(w, r, err)
			return
		}
		if err := a.enter(r, c); err != nil {
			a.problem(w, r, err)
			return
		}
		defer c.leave()
		if c.dryRun = isDryRun(r, c.op); c.dryRun {
			a.dryRun(w, r, next)
			return
		}
		if c.op.once && r.Header.Get(headerIdempotencyKey) != "" {
			a.once(w, r, next)
			return
		}
		done, err := a.holdPlace(c, waitOf(r))
		if err != nil {
			a.problem(w, r, err)
			return
		}
		defer done()
		a.holdOpen(w, r, c)
		next.ServeHTTP(w, r)
	})
}

func (a *API) noSuchPath(w http.ResponseWriter, r *http.Request) {
	if err := a.limiter.CountNetwork(r.Context(), callOf(r.Context()).ip); err != nil {
		a.problem(w, r, err)
		return
	}
	a.problem(w, r, httpError(http.StatusNotFound, "no-such-path", "No resource at this path."))
}

// methodNotAllowed responds with the methods that the path supports (RFC 9110 §15.5.6).
func (a *API) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	if err := a.limiter.CountNetwork(r.Context(), callOf(r.Context()).ip); err != nil {
		a.problem(w, r, err)
		return
	}
	var allow []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch,
		http.MethodDelete} {
		probe := *r
		probe.Method = method
		var match mux.RouteMatch
		if a.router.Match(&probe, &match) && match.MatchErr == nil {
			allow = append(allow, method)
			if method == http.MethodGet {
				allow = append(allow, http.MethodHead)
			}
		}
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	a.problem(w, r, httpError(http.StatusMethodNotAllowed, "method-not-allowed",
		"Allowed methods: "+strings.Join(allow, ", ")+"."))
}
