package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

const (
	// callTimeout bounds what a call may take of the store; a `wait` is added to it.
	callTimeout = 30 * time.Second
	// minCursorKey is what an HMAC key should have at least (RFC 2104 §3: the hash's length).
	minCursorKey = 32
)

// Config is what the API needs.
type Config struct {
	Store     *postgres.Store
	Lifecycle *lifecycle.Service

	// Sealer seals the answers that are kept for calls with an Idempotency-Key.
	Sealer Sealer

	// CursorKey authenticates the cursors of lists; at least 32 bytes, the same in every
	// process, so that a page's successor may be asked of another one.
	CursorKey []byte

	// Limiter counts calls by organization, session, person, and client network. Nil: they are
	// not limited. Its owner closes it.
	Limiter *edge.Limiter

	// Streams limits the event streams and the calls with wait that are held open; the dashboard
	// of the process has the same one. Nil: they are not limited.
	Streams *edge.Streams

	// PublicURL is where people reach this service, without a trailing slash. The `type` of
	// every error begins with it.
	PublicURL string

	// GitHub finds accounts by login, for those who make others members. Nil: nobody can be
	// made one by their login.
	GitHub GitHub

	// Ready looks at every part that serving needs and returns what is wrong with each, nil
	// where nothing is. It must return when its context ends. Nil: nothing is needed.
	Ready func(ctx context.Context) map[string]error

	// TrustedProxy says that the peer is a proxy of ours whose last entry in X-Forwarded-For
	// is the caller. Otherwise that header is ignored, as anyone can send it.
	TrustedProxy bool

	Now        func() time.Time      // time.Now where nil
	Logger     *slog.Logger          // discards where nil
	Registerer prometheus.Registerer // no metrics are registered where nil
}

// API is the HTTP handler of the REST API, the health checks and the problem pages.
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
	reference  map[string]*asset // the contract as a page, by the names of its files
	pages      problemPages
	cookie     string                      // name of the session's
	origins    *http.CrossOriginProtection // of calls by those who are signed in
	sessions   edge.Sessions
	cursors    edge.Cursors
	touched    touched
	limiter    *edge.Limiter // nil: calls are not limited
	lookups    *edge.Lookups // nil without GitHub
	readiness  readiness
	feeds      *feeds
	heartbeat  time.Duration
	places     *controlplane.Gate // of calls that are carried out
	diagnoses  *controlplane.Gate
	exports    *controlplane.Gate
	stopping   chan struct{}
	stop       sync.Once

	diagnosisTimeout time.Duration
}

var (
	_ http.Handler          = (*API)(nil)
	_ StrictServerInterface = (*API)(nil)
)

// New returns the API. Its error says what of the configuration or the contract is wrong.
func New(c Config) (*API, error) {
	if c.Store == nil || c.Lifecycle == nil || c.Sealer == nil {
		return nil, errors.New("api: Store, Lifecycle and Sealer are needed")
	}
	if len(c.CursorKey) < minCursorKey {
		return nil, fmt.Errorf("api: CursorKey has %d bytes, and needs %d", len(c.CursorKey), minCursorKey)
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	a := &API{config: c, store: c.Store, lifecycle: c.Lifecycle, now: c.Now, log: c.Logger, limiter: c.Limiter, stopping: make(chan struct{})}
	if a.now == nil {
		a.now = time.Now
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
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
	if c.GitHub != nil {
		a.lookups = edge.NewLookups(c.Limiter, a.now, c.GitHub.LookUp)
	}
	a.contract = &asset{contentType: mediaJSON, cacheControl: "no-cache", zipped: compress(contract)}
	if a.reference, err = newReference(); err != nil {
		return nil, fmt.Errorf("api: reference: %w", err)
	}
	a.pages = newProblemPages(c.PublicURL)
	a.feeds, a.heartbeat = newFeeds(c.Store, a.log), edge.Heartbeat
	a.diagnosisTimeout = diagnosisTimeout
	a.places = newPlaces(a.store.MaxConns())
	a.diagnoses = controlplane.NewGate(diagnosesAtOnce, diagnosesOfOne)
	a.exports = controlplane.NewGate(exportsAtOnce, exportsOfOne)
	return a, a.route(table)
}

// SetStopping makes /readyz answer 503 and ends every `wait` at once with what it has, so
// that connections drain. It is called before the server is shut down, and is idempotent.
func (a *API) SetStopping() { a.stop.Do(func() { close(a.stopping) }) }

// Close gives back what the API holds, before its store is closed. No call may be under way
// or come.
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

// route wires the generated handlers into a flat router: mux answers 405 for a wrong method
// only where no subrouter is in between. Each route is tied to its operation in the contract
// here, once, so that a request is routed once.
func (a *API) route(table map[string]*operation) error {
	strict := NewStrictHandlerWithOptions(a, []StrictMiddlewareFunc{leaves}, StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  a.requestProblem,
		ResponseErrorHandlerFunc: a.problem,
	})
	// A path is taken as it was sent: cleaning it would answer with a redirect, which turns a
	// POST into a GET.
	a.router = mux.NewRouter().SkipClean(true)
	HandlerWithOptions(strict, GorillaServerOptions{BaseRouter: a.router, ErrorHandlerFunc: a.requestProblem})
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
			return fmt.Errorf("%s %s is routed, but not in the contract", methods[0], path)
		}
		a.operations[route] = op
		return nil
	})
	if err != nil {
		return fmt.Errorf("api: routes: %w", err)
	}
	if len(a.operations) != len(table) {
		return fmt.Errorf("api: the contract has %d operations, of which %d are routed", len(table), len(a.operations))
	}
	a.router.Use(a.guard)
	a.router.NotFoundHandler = http.HandlerFunc(a.noSuchPath)
	a.router.MethodNotAllowedHandler = http.HandlerFunc(a.methodNotAllowed)
	return nil
}

// guard lets a request through to its handler that carries what its operation demands.
func (a *API) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := callOf(r.Context())
		c.op = a.operations[mux.CurrentRoute(r)]
		a.tellDeprecations(w.Header(), r, c.op)
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
	a.problem(w, r, httpError(http.StatusNotFound, "no-such-path", "There is nothing at this path."))
}

// methodNotAllowed answers with the methods that the path takes (RFC 9110 §15.5.6).
func (a *API) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	if err := a.limiter.CountNetwork(r.Context(), callOf(r.Context()).ip); err != nil {
		a.problem(w, r, err)
		return
	}
	var allow []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		asked := *r
		asked.Method = method
		var match mux.RouteMatch
		if a.router.Match(&asked, &match) && match.MatchErr == nil {
			allow = append(allow, method)
			if method == http.MethodGet {
				allow = append(allow, http.MethodHead)
			}
		}
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	a.problem(w, r, httpError(http.StatusMethodNotAllowed, "method-not-allowed",
		"This path takes "+strings.Join(allow, ", ")+"."))
}
