package soak

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
)

// ca is a certificate authority with the test's clock. It implements RFC 8555 with DNS-01 and
// profiles, and RFC 9773, over HTTPS.
type ca struct {
	name     string
	clock    *clock
	dns      *dns
	scenario *scenario
	dice     *dice
	server   *httptest.Server
	signer   signer

	calm    bool                            // no random faults
	front   func(http.Handler) http.Handler // faults in front of the CA; nil for those of the year
	manners func(*order) manner             // of new orders; nil for the zero manner
	rejects func(name string) any           // problem of a failed validation, nil to validate
	denies  func() any                      // problem of an order whose CSR is denied, nil to issue

	mu       sync.Mutex // guards the fields below
	nonces   map[string]bool
	accounts map[string]*account // by URL
	orders   map[string]*order   // by ID
	open     map[string]*order   // the last order by its key
	certs    map[string]*issued  // by ARI certificate ID
	limits   *counts
	tally    tally
	served   int // requests in the current outage
	outage   *fault
}

// tally counts the results of the requests.
type tally struct {
	orders, issued, failed int // failed counts authorizations
	replaced               int // orders that replaced a certificate
	reused                 int // requests for an order that was already pending
	faults                 map[string]int
	refused                map[string]int // rejected over a limit after Redis lost its count
	forced                 map[string]int // rejected over a limit, in a certificate's last quarter
	passed                 []string       // limits that were exceeded otherwise
}

type account struct {
	url        string
	key        *ecdsa.PublicKey
	thumbprint string
}

func startCA(
	t testing.TB, name string, c *clock, d *dns, s *scenario, dice *dice, limits acme.Limits,
) *ca {
	t.Helper()
	a := &ca{name: name, clock: c, dns: d, scenario: s, dice: dice, signer: newSigner(t, name),
		limits: newCounts(limits),
		nonces: map[string]bool{}, accounts: map[string]*account{}, orders: map[string]*order{},
		open: map[string]*order{}, certs: map[string]*issued{},
		tally: tally{faults: map[string]int{}, refused: map[string]int{},
			forced: map[string]int{}}}
	a.server = httptest.NewTLSServer(a.handler())
	t.Cleanup(a.server.Close)
	return a
}

// configure returns the CA's configuration for the engine and the governor.
func (a *ca) configure(limits acme.Limits) acme.CA {
	roots := x509.NewCertPool()
	roots.AddCert(a.server.Certificate())
	return acme.CA{Name: a.name, DirectoryURL: a.server.URL + "/directory", RootCAs: roots,
		Limits: &limits}
}

func (a *ca) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /directory", a.directory)
	mux.HandleFunc("HEAD /nonce", func(w http.ResponseWriter,
		_ *http.Request) {
		w.Header().Set("Replay-Nonce", a.nonce())
	})
	mux.HandleFunc("GET /renewal/{id}", a.renewalInfo)
	for path, fn := range map[string]func(*request) answer{
		"POST /account": a.newAccount, "POST /order": a.newOrder, "POST /order/{id}": a.getOrder,
		"POST /authorization/{id}/{n}": a.getAuthorization, "POST /challenge/{id}/{n}": a.validate,
		"POST /finalize/{id}": a.finalize, "POST /certificate/{id}": a.download,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { a.signed(w, r, fn) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.front != nil {
			a.front(mux).ServeHTTP(w, r)
			return
		}
		a.troubled(mux).ServeHTTP(w, r)
	})
}

func (a *ca) directory(w http.ResponseWriter, _ *http.Request) {
	at := func(path string) string { return a.server.URL + path }
	body := map[string]any{
		"newNonce": at("/nonce"), "newAccount": at("/account"), "newOrder": at("/order"),
		"revokeCert": at("/revoke"), "keyChange": at("/key-change"),
		"meta": map[string]any{"profiles": map[string]string{"classic": "90 days",
			"tlsserver": "45 days", "shortlived": "6 days"}},
	}
	if a.name == "primary" {
		body["renewalInfo"] = at("/renewal")
	}
	write(w, answer{status: 200, body: body})
}

// answer is the response to a request.
type answer struct {
	status     int
	location   string
	retryAfter time.Duration
	body       any // JSON, or PEM if it is a string
}

// problem returns a problem document (RFC 8555 §6.7).
func problem(status int, kind, format string, args ...any) answer {
	return answer{status: status, body: map[string]any{"type": "urn:ietf:params:acme:error:" + kind,
		"detail": fmt.Sprintf(format, args...), "status": status}}
}

func write(w http.ResponseWriter, a answer) {
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	if a.retryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(int(a.retryAfter.Seconds())))
	}
	if text, ok := a.body.(string); ok {
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(text))
		return
	}
	kind := "application/json"
	if a.status >= 400 {
		kind = "application/problem+json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(a.body)
}

// signed calls fn with a request whose signature is valid (RFC 8555 §6.2).
func (a *ca) signed(w http.ResponseWriter, r *http.Request, fn func(*request) answer) {
	w.Header().Set("Replay-Nonce", a.nonce())
	req, refusal := a.read(r)
	if refusal.status != 0 {
		write(w, refusal)
		return
	}
	write(w, fn(req))
}

func (a *ca) newAccount(r *request) answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, known := range a.accounts {
		if known.thumbprint == r.account.thumbprint {
			return answer{status: 200, location: known.url, body: map[string]any{"status": "valid"}}
		}
	}
	r.account.url = fmt.Sprintf("%s/account/%d", a.server.URL, len(a.accounts)+1)
	a.accounts[r.account.url] = r.account
	return answer{status: 201, location: r.account.url, body: map[string]any{"status": "valid"}}
}

// base returns the name that an identifier's authorization is for.
func base(identifier string) string { return strings.TrimPrefix(identifier, "*.") }
