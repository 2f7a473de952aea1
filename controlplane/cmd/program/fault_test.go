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
	"strconv"
	"strings"
	"time"
)

// fault answers the nth request, from 1 on, as a CA should not; next would do it right.
type fault func(n int, w http.ResponseWriter, r *http.Request, next http.Handler)

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
