package devstack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/letsencrypt/pebble/v2/wfe"
)

// CAConfig configures a test CA. The zero value is a CA on a free port that queries the system's
// resolver.
type CAConfig struct {
	// Name identifies this CA in file names in StateDir and in CAAIdentities. Default "pebble".
	Name string
	// Listen is the address of the ACME endpoint. The default host is 127.0.0.1. Without a port, or
	// with port 0, the CA uses a free one.
	Listen string
	// Management is the address of Pebble's management endpoint (/roots/0, /cert-status-by-serial/,
	// /set-renewal-info/). Empty disables it.
	Management string
	// Resolver is the DNS server, host:port, that validation queries. It gets only TXT queries over
	// TCP, and must return the whole CNAME chain and the TXT records in one response, because the
	// CA does not follow CNAMEs. Empty means the system's resolver.
	Resolver string
	// Profiles are the available certificate profiles with their validity. Default DefaultProfiles.
	// An order without a profile gets a random one, so set a profile in every order.
	Profiles map[string]time.Duration
	// EAB maps key IDs to HMAC keys (base64url without padding). If it is not empty, every new
	// account must be bound to one of them (RFC 8555 §7.3.4).
	EAB map[string]string
	// CAAIdentities are the issuer domain names in the directory's metadata. Default: Name +
	// ".test".
	CAAIdentities []string
	// Strict makes the CA as unreliable as a real one: it sometimes rejects valid nonces, delays
	// validation, and reuses valid authorizations in new orders.
	Strict bool
	// Reuse makes the CA reuse an account's valid authorizations in all of its new orders, as Let's
	// Encrypt does for 30 days.
	Reuse bool
	// StateDir stores the certificate of the HTTPS listener, so that clients can keep trusting it
	// after a restart, and the certificates of all previous issuing roots (RootsPEM). Accounts,
	// orders, and issuing keys are only in memory: a restarted CA is a new CA without accounts.
	// Empty means that nothing is stored.
	StateDir string
	// Wrap wraps the CA's handler, so that tests can inject faults. Nil means no wrapper.
	Wrap func(http.Handler) http.Handler
	// Log receives Pebble's log. Nil discards it.
	Log io.Writer
}

// DefaultProfiles returns the profiles of Let's Encrypt with their validity: classic, tlsserver,
// and shortlived.
func DefaultProfiles() map[string]time.Duration {
	return map[string]time.Duration{
		"classic":    90 * 24 * time.Hour,
		"tlsserver":  45 * 24 * time.Hour,
		"shortlived": 160 * time.Hour,
	}
}

// CA is a running test CA: Pebble in this process. Its methods are safe for concurrent use.
type CA struct {
	name     string
	pebble   *pebble
	counter  *orderCounter
	endpoint *caEndpoint
	manage   *caEndpoint // nil without a management endpoint
	tlsRoot  []byte
	roots    []byte
	stopOnce sync.Once
}

// StartCA starts a CA and returns when it accepts requests.
func StartCA(cfg CAConfig) (*CA, error) {
	if cfg.Name == "" {
		cfg.Name = "pebble"
	}
	if len(cfg.Profiles) == 0 {
		cfg.Profiles = DefaultProfiles()
	}
	if len(cfg.CAAIdentities) == 0 {
		cfg.CAAIdentities = []string{cfg.Name + ".test"}
	}
	if cfg.Log == nil {
		cfg.Log = io.Discard
	}
	logger := log.New(cfg.Log, cfg.Name+" ", log.LstdFlags)

	cert, certPEM, err := listenerCertificate(cfg.StateDir, cfg.Name)
	if err != nil {
		return nil, fmt.Errorf("devstack: CA %s: %w", cfg.Name, err)
	}
	p, err := newPebble(cfg, logger)
	if err != nil {
		return nil, fmt.Errorf("devstack: CA %s: %w", cfg.Name, err)
	}
	roots, err := rememberRoots(cfg.StateDir, cfg.Name, p.roots)
	if err != nil {
		return nil, fmt.Errorf("devstack: CA %s: %w", cfg.Name, err)
	}

	ca := &CA{name: cfg.Name, pebble: p, tlsRoot: certPEM, roots: roots}
	ca.counter = newOrderCounter(newGate(p.handler, p.fresh))
	var handler http.Handler = ca.counter
	if cfg.Wrap != nil {
		handler = cfg.Wrap(handler)
	}
	if ca.endpoint, err = serveCA(cfg.Listen, cert, handler, logger); err != nil {
		return nil, fmt.Errorf("devstack: CA %s: %w", cfg.Name, err)
	}
	if cfg.Management != "" {
		if ca.manage, err = serveCA(cfg.Management, cert, p.management, logger); err != nil {
			ca.endpoint.close()
			return nil, fmt.Errorf("devstack: CA %s: management: %w", cfg.Name, err)
		}
	}
	return ca, nil
}

// Name returns the configured name.
func (ca *CA) Name() string { return ca.name }

// DirectoryURL returns the URL of the ACME directory, which always uses HTTPS.
func (ca *CA) DirectoryURL() string { return ca.endpoint.url() + wfe.DirectoryPath }

// ManagementURL returns the management endpoint's URL without a path, or "" if it is disabled.
func (ca *CA) ManagementURL() string {
	if ca.manage == nil {
		return ""
	}
	return ca.manage.url()
}

// RootPEM returns the root certificate of this CA's default chain.
func (ca *CA) RootPEM() []byte { return append([]byte(nil), ca.pebble.roots[0]...) }

// RootsPEM returns all root certificates of this CA: the default one, the alternate one, and then
// those of previous runs with the same StateDir whose certificates can still be valid.
func (ca *CA) RootsPEM() []byte { return append([]byte(nil), ca.roots...) }

// TLSRootPEM returns the self-signed certificate of the HTTPS listeners. It does not sign issued
// certificates.
func (ca *CA) TLSRootPEM() []byte { return append([]byte(nil), ca.tlsRoot...) }

// HTTPClient returns a new client that trusts the CA's listeners. Each client has a separate
// transport, because lego modifies the transport that it gets.
func (ca *CA) HTTPClient() *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.tlsRoot)
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 32,
			IdleConnTimeout:     30 * time.Second,
		},
	}
}

// Orders returns the number of orders that this CA has created.
func (ca *CA) Orders() int { return ca.counter.created() }

// OrdersFor returns the number of created orders with the identifier name, as spelled in the order.
func (ca *CA) OrdersFor(name string) int { return ca.counter.createdFor(name) }

// OrderRequests returns the number of newOrder requests that reached the CA behind Wrap, including
// rejected ones.
func (ca *CA) OrderRequests() int { return ca.counter.requested() }

// SetDown makes the CA unavailable or available. While it is down, new and open connections are
// reset. The CA keeps its address and its state.
func (ca *CA) SetDown(down bool) {
	ca.endpoint.listener.setDown(down)
}

// Stop closes the listeners and all connections. It may be called more than once. A little memory
// and one sleeping goroutine remain, because Pebble can't be stopped.
func (ca *CA) Stop(context.Context) error {
	var err error
	ca.stopOnce.Do(func() {
		err = ca.endpoint.close()
		if ca.manage != nil {
			err = errors.Join(err, ca.manage.close())
		}
	})
	return err
}

// caEndpoint is one HTTPS server.
type caEndpoint struct {
	listener *cutListener
	server   *http.Server
	done     chan struct{}
}

func serveCA(
	addr string, cert tls.Certificate, handler http.Handler, logger *log.Logger,
) (*caEndpoint, error) {
	l, err := net.Listen("tcp", loopbackAddr(addr))
	if err != nil {
		return nil, err
	}
	e := &caEndpoint{
		listener: newCutListener(l),
		server: &http.Server{
			Handler: handler,
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert},
				MinVersion: tls.VersionTLS12},
			ReadHeaderTimeout: 10 * time.Second,
			ErrorLog:          logger,
		},
		done: make(chan struct{}),
	}
	go func() {
		defer close(e.done)
		_ = e.server.ServeTLS(e.listener, "", "") // always returns http.ErrServerClosed after close
	}()
	return e, nil
}

func (e *caEndpoint) url() string { return "https://" + e.listener.Addr().String() }

func (e *caEndpoint) close() error {
	err := e.server.Close()
	<-e.done
	return err
}

// loopbackAddr adds the default host and port to addr, so that a development stack is not reachable
// from the network by default.
func loopbackAddr(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = addr, "0"
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if port == "" {
		port = "0"
	}
	return net.JoinHostPort(host, port)
}
