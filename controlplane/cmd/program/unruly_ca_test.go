package program

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
)

// request is a kind of request to the CA.
type request string

// The requests of an order, in sequence.
const (
	forDirectory   request = "directory"
	forNonce       request = "nonce"
	forAccount     request = "account"
	forNewOrder    request = "new order"
	forAuthz       request = "authorization"
	forChallenge   request = "challenge"
	forFinalize    request = "finalize"
	forOrder       request = "order"
	forCertificate request = "certificate"
)

// paths has the requests to Pebble's endpoints by path prefix.
var paths = map[string]request{
	"/dir": forDirectory, "/nonce-plz": forNonce, "/sign-me-up": forAccount,
	"/order-plz": forNewOrder, "/authZ/": forAuthz,
	"/chalZ/": forChallenge, "/finalize-order/": forFinalize, "/my-order/": forOrder,
	"/certZ/": forCertificate,
}

const acmeErrors = "urn:ietf:params:acme:error:"

// unruly is a handler in front of a CA that adds faults to requests about a domain. Requests for
// the directory, nonces, and accounts have the domain "".
type unruly struct {
	next http.Handler

	mu     sync.Mutex
	seen   map[concern]int
	faults map[concern]fault
	owners map[string]string                   // path of an order's object → domain
	csrs   map[string]*x509.CertificateRequest // domain → last CSR
}

// concern is a request about a domain.
type concern struct {
	domain string
	asked  request
}

func newUnruly() *unruly {
	return &unruly{seen: map[concern]int{}, faults: map[concern]fault{},
		owners: map[string]string{}, csrs: map[string]*x509.CertificateRequest{}}
}

func (u *unruly) wrap(next http.Handler) http.Handler {
	u.next = next
	return u
}

func (u *unruly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := u.concerns(r)
	u.mu.Lock()
	u.seen[c]++
	n, f := u.seen[c], u.faults[c]
	u.mu.Unlock()
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		u.next.ServeHTTP(rec, r)
		u.learn(c.domain, rec)
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
	if f == nil {
		next(w, r)
		return
	}
	f(n, w, r, next)
}

// concerns returns the domain and kind of a request, and records its CSR if it has one.
func (u *unruly) concerns(r *http.Request) concern {
	var c concern
	for path, asked := range paths {
		if strings.HasPrefix(r.URL.Path, path) {
			c.asked = asked
		}
	}
	if r.Method != http.MethodPost || c.asked == forAccount {
		return c
	}
	body, _ := io.ReadAll(r.Body) // the CA handles incomplete bodies
	r.Body = io.NopCloser(bytes.NewReader(body))
	order := payload(body)
	u.mu.Lock()
	defer u.mu.Unlock()
	if c.domain = u.owners[r.URL.Path]; c.asked == forNewOrder && len(order.Identifiers) > 0 {
		c.domain = order.Identifiers[0].Value
	}
	if der, err := base64.RawURLEncoding.DecodeString(order.CSR); err == nil && order.CSR != "" {
		u.csrs[c.domain], _ = x509.ParseCertificateRequest(der)
	}
	return c
}

// signed is the part of a request's payload that the tests use.
type signed struct {
	Identifiers []struct{ Value string }
	Replaces    string
	CSR         string
}

func payload(body []byte) (p signed) {
	var jws struct{ Payload string }
	_ = json.Unmarshal(body, &jws)
	raw, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
	_ = json.Unmarshal(raw, &p)
	return p
}

// learn records the domain of the URLs in a response.
func (u *unruly) learn(domain string, response *httptest.ResponseRecorder) {
	if domain == "" {
		return
	}
	var body struct {
		Authorizations        []string
		Finalize, Certificate string
		Challenges            []struct{ URL string }
	}
	_ = json.Unmarshal(response.Body.Bytes(), &body)
	addresses := append(body.Authorizations, body.Finalize, body.Certificate,
		response.Header().Get("Location"))
	for _, c := range body.Challenges {
		addresses = append(addresses, c.URL)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, address := range addresses {
		if a, err := url.Parse(address); err == nil && address != "" {
			u.owners[a.Path] = domain
		}
	}
}

// on adds a fault to a kind of request about a domain. A nil fault removes it.
func (u *unruly) on(domain string, asked request, f fault) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.faults[concern{domain, asked}] = f
}

// requests returns the number of requests of a kind about a domain.
func (u *unruly) requests(domain string, asked request) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen[concern{domain, asked}]
}
