package api

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

// errorTypes has the ACME error types (RFC 8555 §6.7, RFC 9773 §7.4, and draft-ietf-acme-profiles),
// each with its code at newOrder.
var errorTypes = map[string]string{
	"accountDoesNotExist":     "ca-account",
	"alreadyReplaced":         "ca-already-replaced",
	"alreadyRevoked":          "ca-already-revoked",
	"badCSR":                  "ca-bad-csr",
	"badNonce":                "ca-unreachable",
	"badPublicKey":            "ca-account",
	"badRevocationReason":     "ca-malformed", // an order has no such reason
	"badSignatureAlgorithm":   "ca-account",
	"caa":                     "ca-caa",
	"compound":                "ca-malformed", // of nothing
	"connection":              "ca-malformed",
	"dns":                     "ca-dns-lookup",
	"externalAccountRequired": "ca-account",
	"incorrectResponse":       "ca-malformed",
	"invalidContact":          "ca-account",
	"invalidProfile":          "ca-profile",
	"malformed":               "ca-malformed",
	"orderNotReady":           "ca-order-not-ready",
	"rateLimited":             "ca-rate-limited",
	"rejectedIdentifier":      "ca-rejected-identifier",
	"serverInternal":          "ca-unreachable",
	"tls":                     "ca-malformed",
	"unauthorized":            "ca-account",
	"unsupportedContact":      "ca-account",
	"unsupportedIdentifier":   "ca-rejected-identifier",
	"userActionRequired":      "ca-account",
}

// Every ACME error type has a stable code with a page, and the CA's text is passed through.
func TestEveryErrorOfACMEHasAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var says atomic.Pointer[string]
	ca, err := devstack.StartCA(devstack.CAConfig{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/order-plz" {
				next.ServeHTTP(out, r)
				return
			}
			out.Header().Set("Content-Type", "application/problem+json")
			out.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(out, *says.Load())
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ca.Stop(context.Background()) })
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.TLSRootPEM())
	worker, err := postgres.Open(t.Context(),
		postgres.Config{DSN: postgrestest.As(w.dsn, postgres.PartWork), MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	engine, err := acme.New(acme.Config{
		CAs:      []acme.CA{{Name: "test", DirectoryURL: ca.DirectoryURL(), RootCAs: roots}},
		Accounts: worker, Sealer: w.sealer, Poll: acme.Schedule{First: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	for kind, code := range errorTypes {
		document := fmt.Sprintf(
			`{"type":"urn:ietf:params:acme:error:%s","detail":"the CA's words"}`, kind)
		says.Store(&document)
		o := &controlplane.Order{CA: "test", Names: []string{"example.com"},
			KeyType: controlplane.KeyEC256}
		if err := engine.Prepare(t.Context(), o, nil); err != nil {
			t.Fatal(err)
		}
		_, err := engine.Run(t.Context(), o, nil)
		e, ok := errors.AsType[*acme.Error](err)
		if !ok || e.Code != code || string(e.Problem) != document ||
			!strings.Contains(e.Message, "the CA's words") || e.Fix == "" {
			t.Errorf("%s: Run = %+v, want code %s with the CA's document and a fix", kind, e, code)
			continue
		}
		w.do("GET", "/problems/"+code, nil, anonymous).is(http.StatusOK)
	}
}
