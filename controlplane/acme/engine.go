package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// CA is one certificate authority that certificates can be had from.
type CA struct {
	// Name is what orders and certificates are recorded with, such as "letsencrypt". It must stay the same.
	Name string
	// DirectoryURL is the ACME directory (RFC 8555 §7.1.1); https is required.
	DirectoryURL string
	// Email is the account's contact; empty gives none.
	Email string
	// EABKeyID and EABHMAC bind new accounts to one that the CA knows from elsewhere (RFC 8555 §7.3.4). The key is
	// base64url, with or without padding. Both or neither.
	EABKeyID string
	EABHMAC  string
	// Profile is asked for where an order names none. It is left out at a CA that offers no profiles.
	Profile string
	// Limits are the CA's, for the Governor; nil takes DefaultLimits for the directory.
	Limits *Limits
	// RootCAs are trusted for the directory's TLS; nil takes the system's. They have nothing to do with what the CA issues.
	RootCAs *x509.CertPool
}

// Accounts keeps the accounts at CAs, one for each directory, shared by all workers.
type Accounts interface {
	// Account returns the account for a directory, or nil and no error if there is none.
	Account(ctx context.Context, directoryURL string) (*controlplane.Account, error)
	// CreateAccount stores a unless there is an account for its directory already, and returns what is stored: two workers end
	// up with one key.
	CreateAccount(ctx context.Context, a *controlplane.Account) (*controlplane.Account, error)
	// SetAccountURL records what the CA named the account; "" says that the CA has forgotten it.
	SetAccountURL(ctx context.Context, directoryURL, url string) error
}

// Journal is handed to Run by the caller. Its errors stop the run and come back from it, wrapped.
type Journal = controlplane.Journal

// Config is what an Engine is made of. CAs, Accounts and Sealer are needed; the rest has defaults.
type Config struct {
	// CAs in order of preference.
	CAs []CA
	// Accounts keeps the accounts.
	Accounts Accounts
	// Sealer seals private keys.
	Sealer *seal.Sealer
	// UserAgent goes before lego's own (RFC 8555 §6.1). Default "dcvaas".
	UserAgent string
	// Now tells the time for validity, expiry and Retry-After. Default time.Now. Waiting is by the real clock.
	Now func() time.Time
	// Logger gets what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
	// Poll says how often a CA that is at work is asked.
	Poll Schedule
	// RunTimeout bounds one Run, waiting for the CA included. Default 5 minutes.
	RunTimeout time.Duration
	// RequestTimeout bounds one request with its answer. Default 30 seconds.
	RequestTimeout time.Duration
	// Breaker says when a CA that does not answer is left alone.
	Breaker Breaker
	// RSAKeys bounds how many RSA keys are generated at a time, each of which keeps a core busy for up to seconds.
	// Default: half of the cores, a quarter for one organization, at least one.
	RSAKeys *controlplane.Gate
	// Proxy names the proxy for a request; nil takes none.
	Proxy func(*http.Request) (*url.URL, error)
}

// Engine carries out orders. Its methods may be called from any goroutine, for many orders at once.
type Engine struct {
	cfg   Config
	cas   map[string]*authority
	names []string
}

// New returns an Engine, or an error that names what the configuration lacks. It asks nothing of any CA.
func New(cfg Config) (*Engine, error) {
	if cfg.Accounts == nil || cfg.Sealer == nil {
		return nil, errors.New("acme: Accounts and Sealer are needed")
	}
	if len(cfg.CAs) == 0 {
		return nil, errors.New("acme: no CA is configured")
	}
	setDefaults(&cfg)
	e := &Engine{cfg: cfg, cas: make(map[string]*authority, len(cfg.CAs))}
	for _, ca := range cfg.CAs {
		if err := ca.check(); err != nil {
			return nil, err
		}
		if e.cas[ca.Name] != nil {
			return nil, fmt.Errorf("acme: two CAs are named %q", ca.Name)
		}
		e.cas[ca.Name] = newAuthority(ca, &e.cfg)
		e.names = append(e.names, ca.Name)
	}
	return e, nil
}

// CAs returns the names of the configured CAs, in order of preference.
func (e *Engine) CAs() []string { return append([]string(nil), e.names...) }

// Close drops idle connections. Runs under way are not disturbed.
func (e *Engine) Close() {
	for _, a := range e.cas {
		a.transport.CloseIdleConnections()
	}
}

func setDefaults(cfg *Config) {
	if cfg.UserAgent == "" {
		cfg.UserAgent = "dcvaas"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.RunTimeout <= 0 {
		cfg.RunTimeout = 5 * time.Minute
	}
	if cfg.RequestTimeout <= 0 {
		cfg.RequestTimeout = 30 * time.Second
	}
	if cfg.RSAKeys == nil {
		cores := runtime.GOMAXPROCS(0)
		cfg.RSAKeys = controlplane.NewGate(cores/2, cores/4)
	}
	cfg.Poll = cfg.Poll.withDefaults()
	cfg.Breaker = cfg.Breaker.withDefaults()
}

func (ca CA) check() error {
	u, err := url.Parse(ca.DirectoryURL)
	switch {
	case ca.Name == "":
		return errors.New("acme: a CA has no name")
	case err != nil || u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("acme: CA %s: the directory must be an https URL", ca.Name)
	case (ca.EABKeyID == "") != (ca.EABHMAC == ""):
		return fmt.Errorf("acme: CA %s: an external account binding needs both key id and HMAC key", ca.Name)
	case strings.ContainsAny(ca.Email, " \t\r\n,;"):
		return fmt.Errorf("acme: CA %s: the contact must be one e-mail address", ca.Name)
	}
	return nil
}

// authority returns the state of the CA that is named.
func (e *Engine) authority(name string) (*authority, error) {
	if a := e.cas[name]; a != nil {
		return a, nil
	}
	return nil, &Error{Class: OrderGone, Code: "ca-unknown", CA: name, Over: true,
		Message: fmt.Sprintf("The CA %q is not configured any more.", name),
		Fix:     "Order from one of: " + strings.Join(e.names, ", ") + "."}
}
