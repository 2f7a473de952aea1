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

// request is what the CA is asked for.
type request string

// The requests of an order, in their order.
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

// paths of Pebble's endpoints.
var paths = map[string]request{
	"/dir": forDirectory, "/nonce-plz": forNonce, "/sign-me-up": forAccount, "/order-plz": forNewOrder, "/authZ/": forAuthz,
	"/chalZ/": forChallenge, "/finalize-order/": forFinalize, "/my-order/": forOrder, "/certZ/": forCertificate,
}

const acmeErrors = "urn:ietf:params:acme:error:"

// unruly stands in front of a CA and makes it misbehave in what concerns one domain; in
// directory, nonces and account, which belong to none, with the domain "".
type unruly struct {
	next http.Handler

	mu     sync.Mutex
	seen   map[concern]int
	faults map[concern]fault
	owners map[string]string                   // path of what belongs to an order → domain
	csrs   map[string]*x509.CertificateRequest // domain → what was sent last
}

// concern is a request about a domain.
type concern struct {
	domain string
	asked  request
}

func newUnruly() *unruly {
	return &unruly{seen: map[concern]int{}, faults: map[concern]fault{}, owners: map[string]string{}, csrs: map[string]*x509.CertificateRequest{}}
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

// concerns tells what a request is about, and keeps a CSR that it holds.
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
	body, _ := io.ReadAll(r.Body) // what is missing is for the CA to say
	r.Body = io.NopCloser(bytes.NewReader(body))
	said := payload(body)
	u.mu.Lock()
	defer u.mu.Unlock()
	if c.domain = u.owners[r.URL.Path]; c.asked == forNewOrder && len(said.Identifiers) > 0 {
		c.domain = said.Identifiers[0].Value
	}
	if der, err := base64.RawURLEncoding.DecodeString(said.CSR); err == nil && said.CSR != "" {
		u.csrs[c.domain], _ = x509.ParseCertificateRequest(der)
	}
	return c
}

// signed is what is read of a request's payload.
type signed struct {
	Identifiers []struct{ Value string }
	Replaces    string
	CSR         string
}

func payload(body []byte) (said signed) {
	var jws struct{ Payload string }
	_ = json.Unmarshal(body, &jws)
	raw, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
	_ = json.Unmarshal(raw, &said)
	return said
}

// learn remembers whose the addresses in an answer are.
func (u *unruly) learn(domain string, answer *httptest.ResponseRecorder) {
	if domain == "" {
		return
	}
	var body struct {
		Authorizations        []string
		Finalize, Certificate string
		Challenges            []struct{ URL string }
	}
	_ = json.Unmarshal(answer.Body.Bytes(), &body)
	addresses := append(body.Authorizations, body.Finalize, body.Certificate, answer.Header().Get("Location"))
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

// on makes a request about a domain misbehave; nil mends it.
func (u *unruly) on(domain string, asked request, f fault) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.faults[concern{domain, asked}] = f
}

// requests returns how many there were about a domain.
func (u *unruly) requests(domain string, asked request) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen[concern{domain, asked}]
}
