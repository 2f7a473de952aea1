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

// CAConfig says how a test CA runs. The zero value is a CA on a free port that asks the system's resolver.
type CAConfig struct {
	// Name tells this CA from others: in file names below StateDir and in CAAIdentities. Default "pebble".
	Name string
	// Listen is the address of the ACME endpoint. No host means 127.0.0.1; no port, or port 0, a free one.
	Listen string
	// Management is the address of Pebble's management endpoint (/roots/0, /cert-status-by-serial/,
	// /set-renewal-info/). Empty means none.
	Management string
	// Resolver is the DNS server, host:port, that validation asks. It is asked over TCP only, for TXT only, and must
	// answer the whole CNAME chain and the TXT at once: nobody follows a CNAME for it. Empty means the system's resolver.
	Resolver string
	// Profiles are the certificate profiles offered, with their validity. Default DefaultProfiles.
	// An order that names no profile gets one of them at random: name one in every order.
	Profiles map[string]time.Duration
	// EAB maps key ids to HMAC keys (base64url without padding). If it is not empty, every new account must be bound to
	// one of them (RFC 8555 §7.3.4).
	EAB map[string]string
	// CAAIdentities are the issuer domain names in the directory's metadata. Default: Name + ".test".
	CAAIdentities []string
	// Strict makes the CA as unkind as a real one may be: it refuses good nonces now and then, takes its time before it
	// validates, and gives back valid authorizations in new orders.
	Strict bool
	// Reuse makes the CA give back an account's valid authorizations in each of its new orders, as Let's Encrypt does for 30 days.
	Reuse bool
	// StateDir keeps, over restarts, the certificate of the HTTPS listener (clients need not learn a new one) and the
	// certificates of all former issuing roots (RootsPEM). Accounts, orders and the issuing keys live in memory: a restart is
	// a new CA that knows no account. Empty means that nothing is kept.
	StateDir string
	// Wrap stands in front of the whole CA, so that tests can inject faults. Nil means none.
	Wrap func(http.Handler) http.Handler
	// Log gets Pebble's log. Nil means none.
	Log io.Writer
}

// DefaultProfiles returns the profiles of Let's Encrypt with their validity: classic, tlsserver and shortlived.
func DefaultProfiles() map[string]time.Duration {
	return map[string]time.Duration{
		"classic":    90 * 24 * time.Hour,
		"tlsserver":  45 * 24 * time.Hour,
		"shortlived": 160 * time.Hour,
	}
}

// CA is a running test CA: Pebble, in this process. Its methods may be called from any goroutine.
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

// StartCA starts a CA and returns when it answers.
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

// Name returns the name that the configuration gave.
func (ca *CA) Name() string { return ca.name }

// DirectoryURL returns the ACME directory's URL, always https.
func (ca *CA) DirectoryURL() string { return ca.endpoint.url() + wfe.DirectoryPath }

// ManagementURL returns the management endpoint's URL without a path, or "" if there is none.
func (ca *CA) ManagementURL() string {
	if ca.manage == nil {
		return ""
	}
	return ca.manage.url()
}

// RootPEM returns the root certificate that this CA's default chain ends at.
func (ca *CA) RootPEM() []byte { return append([]byte(nil), ca.pebble.roots[0]...) }

// RootsPEM returns every root that a certificate of this CA may end at: the default one, the alternate one, then those that
// former runs on the same StateDir issued from, while their certificates can still be valid.
func (ca *CA) RootsPEM() []byte { return append([]byte(nil), ca.roots...) }

// TLSRootPEM returns the self-signed certificate of the HTTPS listeners. It signs nothing that the CA issues.
func (ca *CA) TLSRootPEM() []byte { return append([]byte(nil), ca.tlsRoot...) }

// HTTPClient returns a new client that trusts the CA's listeners. Each call gives a client with a transport of its own,
// because lego changes the transport that it is given.
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

// Orders returns how many orders this CA has created.
func (ca *CA) Orders() int { return ca.counter.created() }

// OrdersFor returns how many of the created orders held the identifier name, as it stood in the order.
func (ca *CA) OrdersFor(name string) int { return ca.counter.createdFor(name) }

// OrderRequests returns how many new-order requests reached the CA behind Wrap, refused ones with them.
func (ca *CA) OrderRequests() int { return ca.counter.requested() }

// SetDown cuts the CA off, or brings it back: while it is down, connections are reset, open ones too. The address stays
// taken meanwhile, and the CA forgets nothing.
func (ca *CA) SetDown(down bool) {
	ca.endpoint.listener.setDown(down)
}

// Stop closes the listeners and cuts every connection. It may be called more than once. A little memory and one sleeping
// goroutine stay behind, because Pebble cannot be ended.
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

func serveCA(addr string, cert tls.Certificate, handler http.Handler, logger *log.Logger) (*caEndpoint, error) {
	l, err := net.Listen("tcp", loopbackAddr(addr))
	if err != nil {
		return nil, err
	}
	e := &caEndpoint{
		listener: newCutListener(l),
		server: &http.Server{
			Handler:           handler,
			TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
			ReadHeaderTimeout: 10 * time.Second,
			ErrorLog:          logger,
		},
		done: make(chan struct{}),
	}
	go func() {
		defer close(e.done)
		_ = e.server.ServeTLS(e.listener, "", "") // always http.ErrServerClosed, after close
	}()
	return e, nil
}

func (e *caEndpoint) url() string { return "https://" + e.listener.Addr().String() }

func (e *caEndpoint) close() error {
	err := e.server.Close()
	<-e.done
	return err
}

// loopbackAddr fills in what addr lacks, so that nothing of a development stack is open to the network unasked.
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
