package program

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
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
	forFinalise    request = "finalise"
	forOrder       request = "order"
	forCertificate request = "certificate"
)

// paths of Pebble's endpoints.
var paths = map[string]request{
	"/dir": forDirectory, "/nonce-plz": forNonce, "/sign-me-up": forAccount, "/order-plz": forNewOrder, "/authZ/": forAuthz,
	"/chalZ/": forChallenge, "/finalize-order/": forFinalise, "/my-order/": forOrder, "/certZ/": forCertificate,
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

// fault answers the nth request, from 1 on, as a CA should not; next would do it right.
type fault func(n int, w http.ResponseWriter, r *http.Request, next http.Handler)

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

// always is more often than anything is tried.
const always = 1 << 30

// cut breaks the connection of the first times requests: before the CA has heard of them, or in
// the middle of the answer.
func cut(times int, late bool) fault {
	return func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n > times {
			next.ServeHTTP(w, r)
			return
		}
		if late {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			if r.Method == http.MethodHead {
				panic(http.ErrAbortHandler) // an answer without a middle
			}
			maps.Copy(w.Header(), rec.Header())
			w.Header().Set("Content-Length", strconv.Itoa(rec.Body.Len()+1))
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
			_ = http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

// refuse answers the first times requests with a problem document.
func refuse(times, status int, document string, header ...string) fault {
	return answerWith(times, status, document, append([]string{"Content-Type", "application/problem+json"}, header...)...)
}

// page answers the first times requests with the page of a proxy in front of the CA.
func page(times, status int, header ...string) fault {
	return answerWith(times, status, "<html><body><h1>Service unavailable</h1></body></html>", append([]string{"Content-Type", "text/html"}, header...)...)
}

func answerWith(times, status int, body string, header ...string) fault {
	return func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n > times {
			next.ServeHTTP(w, r)
			return
		}
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// problemOf is a problem document of the CA.
func problemOf(kind, detail string, more ...string) string {
	return `{"type":"` + acmeErrors + kind + `","detail":"` + detail + `","status":403` + strings.Join(append([]string{""}, more...), ",") + `}`
}

// rewrite changes the objects that the CA answers with.
func rewrite(change func(object map[string]any, header http.Header)) fault {
	return func(_ int, w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		var object map[string]any
		if json.Unmarshal(body, &object) == nil {
			change(object, rec.Header())
			body, _ = json.Marshal(object)
		}
		maps.Copy(w.Header(), rec.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(rec.Code)
		_, _ = w.Write(body)
	}
}

// invalidates makes an authorization that was proved end with a problem.
func invalidates(document string) fault {
	return rewrite(func(authz map[string]any, _ http.Header) {
		if authz["status"] != "valid" {
			return
		}
		authz["status"] = "invalid"
		for _, c := range authz["challenges"].([]any) {
			challenge := c.(map[string]any)
			challenge["status"], challenge["error"] = "invalid", json.RawMessage(document)
		}
	})
}

// processing makes an order look as if the CA were at work on it for another ten minutes.
func processing(order map[string]any, header http.Header) {
	if order["status"] == "valid" || order["status"] == "processing" {
		order["status"] = "processing"
		delete(order, "certificate")
		header.Set("Retry-After", "600")
	}
}

// mistakes answers with another certificate than was ordered for the domain: for another name,
// or for another key.
func (u *unruly) mistakes(domain, name string, anotherKey bool) fault {
	return func(_ int, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		u.mu.Lock()
		csr := u.csrs[domain]
		u.mu.Unlock()
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		key := csr.PublicKey
		if anotherKey {
			key = own.Public()
		}
		leaf := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key, own)
		if err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
}

// only makes a fault of requests that say something, and leaves the others alone.
func only(matches func(signed) bool, f fault) fault {
	return func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !matches(payload(body)) {
			next.ServeHTTP(w, r)
			return
		}
		f(n, w, r, next)
	}
}
