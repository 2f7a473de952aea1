package dashboard

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// sessionKeyLength is the minimum length in bytes of an HMAC-SHA256 key (RFC 2104 §3).
const sessionKeyLength = 32

// Config configures a Dashboard.
type Config struct {
	Store     *postgres.Store
	Lifecycle *lifecycle.Service

	// Sealer seals what is stored for a following request: new secrets, and the input of forms that
	// were not executed.
	Sealer edge.Sealer

	// SessionKey signs the cookies of sign-ins in progress and the cursors of lists. It has at
	// least 32 bytes and is the same in every process.
	SessionKey []byte

	// GitHub signs users in. If it is nil, sign-in with GitHub is disabled.
	GitHub GitHub

	// DevSignIn signs in anyone who can open the dashboard, with one click, as this account. It
	// is for development. Without it and GitHub, users cannot sign in, and the login page says so.
	DevSignIn *controlplane.GitHubAccount

	// Secure states that browsers reach the dashboard over HTTPS. Cookies are then sent only
	// over HTTPS.
	Secure bool

	// Streams limits the event streams of live pages. The API in the same process shares it. If
	// it is nil, streams are not limited.
	Streams *edge.Streams

	// Diagnoses limits the diagnoses in progress. The API in the same process shares it. If it is
	// nil, the dashboard has its own.
	Diagnoses *edge.Diagnoses

	// PublicURL is the URL of the dashboard, without a trailing slash. Forms from this origin are
	// accepted even if a proxy changed the Host header. It may be empty.
	PublicURL string

	// TrustedProxy states that the peer is a trusted proxy, which appends the client's address to
	// X-Forwarded-For. Otherwise that header is ignored, because any client can send it.
	TrustedProxy bool

	// Limiter counts requests by session, user, and client network, and sign-ins by client
	// network. If it is nil, requests are not limited. Its owner closes it.
	Limiter *edge.Limiter

	Now    func() time.Time // default: time.Now
	Logger *slog.Logger     // default: discard
}

// Dashboard is the http.Handler for the pages.
type Dashboard struct {
	config    Config
	store     *postgres.Store
	lifecycle *lifecycle.Service
	now       func() time.Time
	log       *slog.Logger
	assets    *assets
	pages     pages
	limiter   *edge.Limiter // nil if requests are not limited
	devHosts  []string      // hosts that the development sign-in accepts besides localhost
	flowKey   []byte
	guestKey  []byte
	formsKey  []byte
	patience  time.Duration // of a repeated submission
	cursors   edge.Cursors
	exports   *controlplane.Gate
	sessions  edge.Sessions
	handler   http.Handler

	compressed http.Handler // serve, with compressed responses
	heartbeat  time.Duration
	stopping   chan struct{}
	stop       sync.Once
}

var _ http.Handler = (*Dashboard)(nil)

// New returns a dashboard. Its error names the missing or invalid configuration.
func New(c Config) (*Dashboard, error) {
	if c.Store == nil || c.Lifecycle == nil || c.Sealer == nil {
		return nil, errors.New("dashboard: Store, Lifecycle, and Sealer are required")
	}
	if len(c.SessionKey) < sessionKeyLength {
		return nil, fmt.Errorf("dashboard: SessionKey has %d bytes: must have at least %d",
			len(c.SessionKey), sessionKeyLength)
	}
	if c.DevSignIn != nil && (c.DevSignIn.ID == 0 || c.DevSignIn.Login == "") {
		return nil, errors.New("dashboard: DevSignIn requires ID and Login")
	}
	d := &Dashboard{config: c, store: c.Store, lifecycle: c.Lifecycle, now: c.Now,
		log: cmp.Or(c.Logger, slog.New(slog.DiscardHandler)), limiter: c.Limiter,
		flowKey: deriveKey(c.SessionKey, "sign-in"), guestKey: deriveKey(c.SessionKey, "guest"),
		formsKey: deriveKey(c.SessionKey, "forms"), patience: submitPatience,
		exports:   edge.NewExports(),
		cursors:   edge.Cursors{Key: deriveKey(c.SessionKey, "cursor")},
		heartbeat: edge.Heartbeat, stopping: make(chan struct{})}
	if d.now == nil {
		d.now = time.Now
	}
	if d.config.Diagnoses == nil {
		d.config.Diagnoses = edge.NewDiagnoses()
	}
	var err error
	if d.assets, err = loadAssets(); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	if d.pages, err = parsePages(d.assets); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	guard, host, err := edge.Origins(c.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	guard.SetDenyHandler(d.page(crossOriginDenied))
	if host != "" {
		d.devHosts = []string{host}
	}
	d.sessions = edge.Sessions{Store: c.Store, Limiter: c.Limiter, Log: d.log}
	d.handler = guard.Handler(d.routes())
	if d.compressed, err = compressed(http.HandlerFunc(d.serve)); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	return d, nil
}

// SetStopping ends every event stream, so that connections drain. Call it after closing the
// listener: readers reconnect at once. It is idempotent.
func (d *Dashboard) SetStopping() { d.stop.Do(func() { close(d.stopping) }) }
