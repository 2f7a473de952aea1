package dashboard

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/lifecycle"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// sessionKeyLength is what an HMAC-SHA256 key should have (RFC 2104 §3: the hash's length).
const sessionKeyLength = 32

// Config is what the dashboard needs.
type Config struct {
	Store     *postgres.Store
	Lifecycle *lifecycle.Service

	// SessionKey signs the cookies of sign-ins that have begun, and the lists' cursors: 32
	// bytes, the same in every process.
	SessionKey []byte

	// GitHub is where people sign in. Nil: they do not.
	GitHub GitHub

	// DevSignIn lets anybody who reaches the dashboard in, by one click, as the owner of this
	// account. It is for development. Without it and GitHub there is no way to sign in, and
	// the page says so.
	DevSignIn *controlplane.GitHubAccount

	// Secure says that people reach the dashboard by https: cookies are sent by that alone.
	Secure bool

	// Streams limits the streams that live pages hold open; the API of the process has the same
	// one. Nil: they are not limited.
	Streams *edge.Streams

	// PublicURL is where people reach the dashboard, without a trailing slash. Forms that
	// come from there are taken also where a proxy has changed the Host. It may be empty.
	PublicURL string

	// TrustedProxy says that the peer is a proxy of ours whose last entry in X-Forwarded-For
	// is the caller. Otherwise that header is ignored, as anyone can send it.
	TrustedProxy bool

	// Limiter counts requests by session, person, and client network, and sign-ins by client
	// network. Nil: they are not limited. Its owner closes it.
	Limiter *edge.Limiter

	Now    func() time.Time // time.Now where nil
	Logger *slog.Logger     // discards where nil
}

// Dashboard is the HTTP handler of the pages.
type Dashboard struct {
	config    Config
	store     *postgres.Store
	lifecycle *lifecycle.Service
	now       func() time.Time
	log       *slog.Logger
	assets    *assets
	pages     pages
	limiter   *edge.Limiter // nil: requests are not limited
	devHosts  []string      // names by which the development sign-in is reached
	flowKey   []byte
	guestKey  []byte
	cursorKey []byte
	handler   http.Handler
	heartbeat time.Duration
	stopping  chan struct{}
	stop      sync.Once
}

var _ http.Handler = (*Dashboard)(nil)

// New returns the dashboard, or an error that names what the configuration lacks.
func New(c Config) (*Dashboard, error) {
	if c.Store == nil || c.Lifecycle == nil {
		return nil, errors.New("dashboard: Store and Lifecycle are needed")
	}
	if len(c.SessionKey) < sessionKeyLength {
		return nil, fmt.Errorf("dashboard: SessionKey has %d bytes, and needs %d", len(c.SessionKey), sessionKeyLength)
	}
	if c.DevSignIn != nil && (c.DevSignIn.ID == 0 || c.DevSignIn.Login == "") {
		return nil, errors.New("dashboard: DevSignIn needs ID and Login")
	}
	d := &Dashboard{config: c, store: c.Store, lifecycle: c.Lifecycle, now: c.Now, log: c.Logger, limiter: c.Limiter,
		flowKey: deriveKey(c.SessionKey, "sign-in"), guestKey: deriveKey(c.SessionKey, "guest"), cursorKey: deriveKey(c.SessionKey, "cursor"),
		heartbeat: heartbeat, stopping: make(chan struct{})}
	if d.now == nil {
		d.now = time.Now
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if d.assets, err = loadAssets(); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	if d.pages, err = parsePages(d.assets); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(d.page(crossOriginDenied))
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Host == "" {
			return nil, errors.New("dashboard: PublicURL is no URL")
		}
		d.devHosts = []string{u.Host}
		if err := guard.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			return nil, fmt.Errorf("dashboard: PublicURL: %w", err)
		}
	}
	d.handler = guard.Handler(d.routes())
	return d, nil
}

// SetStopping ends every stream of events at once, so that connections drain. It is called
// before the server is shut down, and is idempotent.
func (d *Dashboard) SetStopping() { d.stop.Do(func() { close(d.stopping) }) }
