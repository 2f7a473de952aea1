package acme

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

// CA configures one certificate authority.
type CA struct {
	// Name identifies the CA in orders and certificates, such as "letsencrypt". It must not change.
	Name string
	// DirectoryURL is the ACME directory (RFC 8555 §7.1.1). It must be an https URL.
	DirectoryURL string
	// Email is the account's contact. If empty, the account has no contact.
	Email string
	// EABKeyID and EABHMAC bind new accounts to an existing customer account at the CA (RFC 8555
	// §7.3.4). The HMAC key is base64url, with or without padding. Set both or neither.
	EABKeyID string
	EABHMAC  string
	// Accounts are those that new orders use. Default: DefaultAccount, with the values above.
	Accounts []AccountConfig
	// Profile is requested for orders that do not name one. It is omitted if the CA offers no
	// profiles.
	Profile string
	// Limits are the CA's rate limits, for the Governor. If nil, DefaultLimits for the directory
	// apply.
	Limits *Limits
	// RootCAs verify the TLS certificate of the directory. If nil, the system's roots apply. They
	// are unrelated to the certificates that the CA issues.
	RootCAs *x509.CertPool
}

// AccountConfig configures one of several accounts at a CA.
type AccountConfig struct {
	// Name identifies the account in orders and certificates: lower-case letters, digits, and
	// hyphens. It must not change. DefaultAccount is the account that a CA has without others.
	Name string
	// Email, EABKeyID, and EABHMAC are those of the account. See CA.
	Email    string
	EABKeyID string
	EABHMAC  string
	// NewOrders is the account's limit. If nil, that of the CA's Limits applies.
	NewOrders *Limit
}

// AccountNames returns the names of the accounts that new orders use, at least one.
func (ca CA) AccountNames() []string {
	var names []string
	for _, one := range ca.accounts() {
		names = append(names, one.Name)
	}
	return names
}

// accounts returns the configured accounts, at least one.
func (ca CA) accounts() []AccountConfig {
	if len(ca.Accounts) > 0 {
		return ca.Accounts
	}
	return []AccountConfig{{Name: controlplane.DefaultAccount, Email: ca.Email,
		EABKeyID: ca.EABKeyID, EABHMAC: ca.EABHMAC}}
}

// Accounts stores the ACME accounts, shared by all workers. An account is identified by its
// controlplane.AccountURL.
type Accounts interface {
	// Account returns an account, or nil if it is missing.
	Account(ctx context.Context, directoryURL string) (*controlplane.Account, error)
	// CreateAccount stores a unless the account exists, and returns the stored account, so that two
	// workers use the same key.
	CreateAccount(ctx context.Context, a *controlplane.Account) (*controlplane.Account, error)
	// SetAccountURL stores the account's URL. An empty URL means that the CA no longer knows the
	// account.
	SetAccountURL(ctx context.Context, directoryURL, url string) error
}

// Journal records the progress of a run. Its errors stop the run, which returns them wrapped.
type Journal = controlplane.Journal

// Config configures an Engine. CAs, Accounts, and Sealer are required.
type Config struct {
	// CAs are the certificate authorities, in order of preference.
	CAs []CA
	// Accounts stores the ACME accounts.
	Accounts Accounts
	// Sealer seals private keys.
	Sealer *seal.Sealer
	// Registered is called after an account was registered at a CA, for the first time or to
	// replace one: states that the CA kept for a previous account no longer apply. Its error is
	// logged. It may be nil.
	Registered func(ctx context.Context, ca, account string) error
	// UserAgent precedes lego's own (RFC 8555 §6.1). Default "dcvaas".
	UserAgent string
	// Now returns the current time for validity, expiry, Retry-After, and the limits of a run.
	// Default time.Now.
	Now func() time.Time
	// Sleep waits for d, or returns the context's error when the context is done first. All waiting
	// for a CA goes through it. A test whose Sleep advances the clock of Now runs days in
	// milliseconds. Default: a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Logger receives messages for operators. Default: no logging.
	Logger *slog.Logger
	// Poll configures the intervals at which the status of an order is polled.
	Poll Schedule
	// RunTimeout is the limit for one Run, including waiting for the CA, by the clock of Now and by
	// the real one. Default 5 minutes.
	RunTimeout time.Duration
	// RequestTimeout is the limit for one request, including its response. Default 30 seconds.
	RequestTimeout time.Duration
	// Breaker configures the circuit breaker of each CA.
	Breaker Breaker
	// RSAKeys limits how many RSA keys are generated at a time. Each can occupy a core for seconds.
	// Default: half of the cores, a quarter for one organization, at least one.
	RSAKeys *controlplane.Gate
	// Proxy returns the proxy for a request. If nil, no proxy is used.
	Proxy func(*http.Request) (*url.URL, error)
}

// Engine runs orders. Its methods are safe for concurrent use.
type Engine struct {
	cfg   Config
	cas   map[string]*authority
	names []string
}

// New returns an Engine, or an error that names the invalid field. It sends no requests.
func New(cfg Config) (*Engine, error) {
	if cfg.Accounts == nil || cfg.Sealer == nil {
		return nil, errors.New("acme: Accounts and Sealer are required")
	}
	if len(cfg.CAs) == 0 {
		return nil, errors.New("acme: no CA is configured")
	}
	setDefaults(&cfg)
	e := &Engine{cfg: cfg, cas: make(map[string]*authority, len(cfg.CAs))}
	keys := map[string]bool{}
	for _, ca := range cfg.CAs {
		if err := ca.check(); err != nil {
			return nil, err
		}
		if err := ca.identify(keys); err != nil {
			return nil, err
		}
		e.cas[ca.Name] = newAuthority(ca, &e.cfg)
		e.names = append(e.names, ca.Name)
	}
	return e, nil
}

// identify adds the identities of the CA and its accounts to keys. It returns an error if one of
// them is already there.
func (ca CA) identify(keys map[string]bool) error {
	if keys[ca.Name] {
		return fmt.Errorf("acme: duplicate CA name %q", ca.Name)
	}
	keys[ca.Name] = true
	for _, one := range ca.accounts() {
		ref := controlplane.AccountRef(ca.Name, one.Name)
		if keys[ref] {
			return fmt.Errorf("acme: duplicate account %q", ref)
		}
		keys[ref] = true
	}
	return nil
}

// Accounts returns the names of the accounts that new orders at the CA with the given name use.
func (e *Engine) Accounts(ca string) []string {
	a := e.cas[ca]
	if a == nil {
		return nil
	}
	return a.AccountNames()
}

// CAs returns the names of the configured CAs, in order of preference.
func (e *Engine) CAs() []string { return slices.Clone(e.names) }

// Close closes idle connections. It does not affect active runs.
func (e *Engine) Close() {
	for _, a := range e.cas {
		a.transport.CloseIdleConnections()
	}
}

func setDefaults(cfg *Config) {
	cfg.UserAgent = cmp.Or(cfg.UserAgent, "dcvaas")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	cfg.RunTimeout = cmp.Or(max(cfg.RunTimeout, 0), 5*time.Minute)
	cfg.RequestTimeout = cmp.Or(max(cfg.RequestTimeout, 0), 30*time.Second)
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
		return errors.New("acme: a CA has an empty name")
	case err != nil || u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("acme: CA %s: invalid directory URL: must be an https URL", ca.Name)
	}
	for _, one := range ca.accounts() {
		if err := one.check(); err != nil {
			return fmt.Errorf("acme: CA %s: %w", ca.Name, err)
		}
	}
	return nil
}

var accountName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

func (c AccountConfig) check() error {
	switch {
	case !accountName.MatchString(c.Name):
		return fmt.Errorf("invalid account name %q: must be 1 to 40 lower-case letters, digits, and hyphens", c.Name)
	case (c.EABKeyID == "") != (c.EABHMAC == ""):
		return errors.New("an external account binding requires both a key ID and an HMAC key")
	case !isBase64URL(c.EABHMAC):
		return errors.New("invalid EAB HMAC key: must be base64url")
	case strings.ContainsAny(c.Email, " \t\r\n,;"):
		return errors.New("invalid contact: must be one email address")
	}
	return nil
}

// isBase64URL reports whether s is base64url, with or without padding.
func isBase64URL(s string) bool {
	_, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	return err == nil
}

// authority returns the state of the CA with the given name.
func (e *Engine) authority(name string) (*authority, error) {
	if a := e.cas[name]; a != nil {
		return a, nil
	}
	return nil, &Error{Class: OrderGone, Code: "ca-unknown", CA: name, Over: true,
		Message: fmt.Sprintf("The CA %q is no longer configured.", name),
		Fix:     "Use one of these CAs: " + strings.Join(e.names, ", ") + "."}
}
