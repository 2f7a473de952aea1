package acme_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// rootNames returns the common names of the CA's roots, the default one first.
func (w *world) rootNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, root := range parsePEM(t, w.ca.RootsPEM()) {
		names = append(names, root.Subject.CommonName)
	}
	if len(names) != 2 || names[0] == names[1] {
		t.Fatalf("roots = %q, want two", names)
	}
	return names
}

func parsePEM(t *testing.T, text []byte) (certs []*x509.Certificate) {
	t.Helper()
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, cert)
	}
	return certs
}

func TestPreferredChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	roots := w.rootNames(t)
	for i, tt := range []struct {
		preferred, root string
		missing         bool
	}{
		{"", roots[0], false}, {roots[0], roots[0], false}, {roots[1], roots[1], false},
		{strings.ToUpper(roots[1]), roots[1], false}, {"No Such Root", roots[0], true},
	} {
		o := w.order(t, e, fmt.Sprintf("chain%d.example.com", i))
		o.PreferredChain = tt.preferred
		cert, err := e.Run(t.Context(), o, w.journal(o))
		if err != nil {
			t.Fatal(err)
		}
		w.verify(t, cert, o)
		chain := parsePEM(t, []byte(cert.ChainPEM))
		if got := chain[len(chain)-1].Issuer.CommonName; got != tt.root {
			t.Errorf("PreferredChain = %q: the chain ends at %q, want %q", tt.preferred, got,
				tt.root)
		}
		if (cert.NotOffered != nil) != tt.missing {
			t.Errorf("PreferredChain = %q: NotOffered = %+v, want missing %v", tt.preferred,
				cert.NotOffered, tt.missing)
		}
		if n := cert.NotOffered; n != nil && (n.Wanted != tt.preferred || n.Unread ||
			!slices.Equal(n.Offered, roots)) {
			t.Errorf("NotOffered = %+v, want %q and %q", n, tt.preferred, roots)
		}
	}
}

// TestPreferredChain_faults has the downloads of alternate chains fail. The certificate is kept.
func TestPreferredChain_faults(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	roots := w.rootNames(t)
	stranger := newTestCA(t, roots[1])
	status := func(n, code int, w http.ResponseWriter) bool {
		if n > 1 {
			w.WriteHeader(code)
		}
		return n > 1
	}
	for i, tt := range []struct {
		name  string
		fault func(n int, chain []byte, header http.Header) []byte
		// with the number of each request for a chain, returns whether it has responded
		status func(n int, w http.ResponseWriter) bool
		root   string
		unread bool
	}{
		{name: "500 once", status: func(n int, w http.ResponseWriter) bool {
			return n == 2 && status(n, 500, w)
		}, root: roots[1]},
		{name: "500", status: func(n int, w http.ResponseWriter) bool {
			return status(n, 500, w)
		}, root: roots[0], unread: true},
		{name: "404", status: func(n int, w http.ResponseWriter) bool {
			return status(n, 404, w)
		}, root: roots[0], unread: true},
		{name: "HTML", fault: func(n int, chain []byte, _ http.Header) []byte {
			if n > 1 {
				return []byte("<html></html>")
			}
			return chain
		}, root: roots[0], unread: true},
		{name: "only the leaf", fault: func(n int, chain []byte, _ http.Header) []byte {
			_, rest := pem.Decode(chain)
			return chain[:len(chain)-min(n-1, 1)*len(rest)]
		}, root: roots[0], unread: true},
		{name: "another certificate", fault: func(n int, chain []byte, _ http.Header) []byte {
			if n > 1 {
				return stranger.pem
			}
			return chain
		}, root: roots[0], unread: true},
		{name: "no links", fault: func(_ int, chain []byte, h http.Header) []byte {
			h.Del("Link")
			return chain
		}, root: roots[0]},
		{name: "plain http", fault: func(_ int, chain []byte, h http.Header) []byte {
			h.Set("Link", `<http://127.0.0.1/chain>;rel="alternate"`)
			return chain
		}, root: roots[0]},
		{name: "links to the default chain", fault: func(_ int, chain []byte, h http.Header) []byte {
			h.Set("Link", `<>;rel="alternate", <>; title=a; rel=alternate`)
			return chain
		}, root: roots[0]},
		{name: "100 links", fault: func(n int, chain []byte, h http.Header) []byte {
			h.Del("Link")
			for i := range 100 {
				h.Add("Link", fmt.Sprintf(`<?%d>;rel="alternate"`, i))
			}
			if n > 1 {
				return nil
			}
			return chain
		}, root: roots[0], unread: true},
	} {
		if tt.status != nil {
			f.on(pathCert, func(n int, w http.ResponseWriter, r *http.Request, next http.Handler) {
				if !tt.status(n, w) {
					next.ServeHTTP(w, r)
				}
			})
		} else {
			f.rewriteBytes(pathCert, tt.fault)
		}
		o := w.order(t, e, fmt.Sprintf("fault%d.example.com", i))
		o.PreferredChain = roots[1]
		cert, err := e.Run(t.Context(), o, w.journal(o))
		if err != nil {
			t.Errorf("%s: Run = %v, want the certificate", tt.name, err)
			continue
		}
		w.verify(t, cert, o)
		chain := parsePEM(t, []byte(cert.ChainPEM))
		if got := chain[len(chain)-1].Issuer.CommonName; got != tt.root {
			t.Errorf("%s: the chain ends at %q, want %q", tt.name, got, tt.root)
		}
		if n := cert.NotOffered; (n != nil) != (tt.root == roots[0]) || n != nil &&
			n.Unread != tt.unread {
			t.Errorf("%s: NotOffered = %+v, want one with unread %v", tt.name, n, tt.unread)
		}
		if got := f.requests(pathCert); got > 11 {
			t.Errorf("%s: %d requests for chains, want at most 11", tt.name, got)
		}
	}
}

// TestCrossSignedRoot prefers a root that signs the chain, and falls back to the chain with its
// cross-signed certificate.
func TestCrossSignedRoot(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	roots := w.rootNames(t)
	other := newTestCA(t, "Older Root")
	all := parsePEM(t, w.ca.RootsPEM())
	all[0].SignatureAlgorithm = x509.UnknownSignatureAlgorithm
	cross := *all[0]
	cross.SubjectKeyId = nil
	crossed := other.sign(t, &cross, all[0].PublicKey)
	for _, links := range []bool{true, false} {
		f.rewriteBytes(pathCert, func(n int, chain []byte, h http.Header) []byte {
			if !links {
				h.Del("Link")
			}
			if n == 1 {
				return bytes.Join([][]byte{chain, crossed}, nil)
			}
			return chain
		})
		o := w.order(t, e, fmt.Sprintf("cross%v.example.com", links))
		o.PreferredChain = roots[0]
		cert, err := e.Run(t.Context(), o, w.journal(o))
		if err != nil {
			t.Fatalf("links %v: Run = %v", links, err)
		}
		chain := parsePEM(t, []byte(cert.ChainPEM))
		if got := chain[len(chain)-1].Subject.CommonName; got != roots[0] ||
			cert.NotOffered != nil {
			t.Errorf("links %v: the chain ends with %q, NotOffered = %+v, want %q", links, got,
				cert.NotOffered, roots[0])
		}
	}
}
