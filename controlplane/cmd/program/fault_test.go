package program

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fault handles the nth request, from 1, with a faulty response. next is the correct handler.
type fault func(n int, w http.ResponseWriter, r *http.Request, next http.Handler)

// always is more than the number of attempts of any request.
const always = 1 << 30

// cut closes the connection of the first times requests: before the CA receives the request, or, if
// late, in the middle of the response.
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
				panic(http.ErrAbortHandler) // the response has no body
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

// reject responds to the first times requests with a problem document.
func reject(times, status int, document string, header ...string) fault {
	return respondWith(times, status, document,
		append([]string{"Content-Type", "application/problem+json"}, header...)...)
}

// page responds to the first times requests with an HTML page, like a proxy in front of the CA.
func page(times, status int, header ...string) fault {
	return respondWith(times, status, "<html><body><h1>Service unavailable</h1></body></html>",
		append([]string{"Content-Type", "text/html"}, header...)...)
}

func respondWith(times, status int, body string, header ...string) fault {
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

// problemOf returns a problem document as CAs send it.
func problemOf(kind, detail string, more ...string) string {
	return `{"type":"` + acmeErrors + kind + `","detail":"` + detail + `","status":403` +
		strings.Join(append([]string{""}, more...), ",") + `}`
}

// rewrite changes the JSON objects in the CA's responses.
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

// invalidates turns a valid authorization into an invalid one with the problem.
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

// offerOnly leaves only the challenges of a type in an authorization.
func offerOnly(kind string) func(authz map[string]any, _ http.Header) {
	return func(authz map[string]any, _ http.Header) {
		challenges, _ := authz["challenges"].([]any)
		authz["challenges"] = slices.DeleteFunc(challenges, func(c any) bool {
			return c.(map[string]any)["type"] != kind
		})
	}
}

// processing makes an order look as if the CA were processing it for another ten minutes.
func processing(order map[string]any, header http.Header) {
	if order["status"] == "valid" || order["status"] == "processing" {
		order["status"] = "processing"
		delete(order, "certificate")
		header.Set("Retry-After", "600")
	}
}

// mistakes responds with a certificate that does not match the domain's order: it has the name, and
// if anotherKey, another key.
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
		issuer := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"},
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
		leaf := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name},
			DNSNames: []string{name}, NotBefore: issuer.NotBefore, NotAfter: issuer.NotAfter}
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		for _, c := range []struct {
			template *x509.Certificate
			key      any
		}{{leaf, key}, {issuer, own.Public()}} {
			der, err := x509.CreateCertificate(rand.Reader, c.template, issuer, c.key, own)
			if err != nil {
				panic(err)
			}
			_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: der})
		}
	}
}

// leafOnly drops the issuers from the first times responses with a chain.
func leafOnly(times int) fault {
	return func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n > times {
			next.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		chain := rec.Body.Bytes()
		_, issuers := pem.Decode(chain)
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(chain[:len(chain)-len(issuers)])
	}
}

// only applies the fault to requests that match, and passes the others through.
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
