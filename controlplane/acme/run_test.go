package acme_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
)

// intents are the steps that are always recorded, because the action after each is irreversible.
var intents = []controlplane.OrderStep{controlplane.StepOrdered, controlplane.StepAuthorized,
	controlplane.StepReady}

func TestKeyTypesAndNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	for i, kt := range []controlplane.KeyType{controlplane.KeyEC256, controlplane.KeyEC384,
		controlplane.KeyRSA2048, controlplane.KeyRSA3072, controlplane.KeyRSA4096} {
		t.Run(string(kt), func(t *testing.T) {
			t.Parallel()
			apex := fmt.Sprintf("k%d.example.com", i)
			o := &controlplane.Order{OrgID: "org_1", DomainID: "dom_1", CA: "pebble",
				Names: controlplane.CertificateNames(apex,
					controlplane.Options{Wildcard: i%2 == 1}), KeyType: kt}
			if err := e.Prepare(t.Context(), o, nil); err != nil {
				t.Fatal(err)
			}
			if o.Step != controlplane.StepCreated ||
				!controlplane.IsID(controlplane.PrefixOrder, o.ID) || o.CreatedAt.IsZero() {
				t.Errorf("Prepare: order = %+v, want created with CSR and sealed key", o)
			}
			j := w.journal(o)
			cert, err := e.Run(t.Context(), o, j)
			if err != nil {
				t.Fatal(err)
			}
			leaf := w.verify(t, cert, o)
			if !slices.Equal(j.steps, intents) || o.Step != controlplane.StepIssued ||
				o.CertificateURL == "" {
				t.Errorf("saved steps = %q, want %q; last step %s", j.steps, intents, o.Step)
			}
			if len(j.stored.Values) != len(o.Names) || j.pubs != 1 {
				t.Errorf("published %d values %d times for %q", len(j.stored.Values), j.pubs,
					o.Names)
			}
			if cert.Profile != "classic" ||
				cert.NotAfter.Sub(cert.NotBefore).Round(time.Hour) != 90*24*time.Hour {
				t.Errorf("Profile = %q, validity %s", cert.Profile,
					cert.NotAfter.Sub(cert.NotBefore))
			}
			keyPEM, err := w.sealer.Open(cert.SealedKey, o.ID)
			if err != nil {
				t.Fatal(err)
			}
			block, _ := pem.Decode(keyPEM)
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			public, _ := x509.MarshalPKIXPublicKey(publicKey(key))
			if !slices.Equal(public, leaf.RawSubjectPublicKeyInfo) {
				t.Error("the sealed key does not match the certificate")
			}
		})
	}
}

// TestCrashAndResume kills the worker at every save, before and after it is written, and while
// publishing. A new engine resumes from the stored order.
func TestCrashAndResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	type crash struct {
		at      controlplane.OrderStep
		written bool
		publish bool
	}
	crashes := []crash{{publish: true}}
	for _, step := range intents {
		crashes = append(crashes, crash{at: step}, crash{at: step, written: true})
	}
	for i, c := range crashes {
		t.Run(fmt.Sprintf("%s/written=%v/publish=%v", c.at, c.written, c.publish),
			func(t *testing.T) {
				t.Parallel()
				apex := fmt.Sprintf("crash%d.example.com", i)
				e := w.engine(t, nil)
				o := w.order(t, e, apex, "*."+apex, "www."+apex, "*.b."+apex)
				o.Targets = map[string]string{"www." + apex: "www", "b." + apex: "b"}
				j := w.journal(o)
				j.killAt, j.written, j.killPub = c.at, c.written, c.publish
				if _, err := e.Run(t.Context(), o, j); !errors.Is(err, errKilled) {
					t.Fatalf("first Run error = %v, want errKilled", err)
				}
				time.Sleep(time.Duration(i%3) * 20 * time.Millisecond) // the CA continues meanwhile

				left := j.stored
				next := &journal{zone: w.zone, stored: left}
				cert, err := w.engine(t, nil).Run(t.Context(), &left, next)
				if err != nil {
					t.Fatalf("resume from %s: %v", j.stored.Step, err)
				}
				w.verify(t, cert, &left)
				want := 1
				if c.at == controlplane.StepOrdered && !c.written {
					want = 2
				}
				if got := w.ca.OrdersFor(apex); got != want {
					t.Errorf("CA.Orders() = %d, want %d", got, want)
				}
				if c.at == controlplane.StepReady && c.written && len(next.steps) > 0 {
					t.Errorf("steps saved after resuming at ready = %q, want none", next.steps)
				}
			})
	}
}

// TestCrashAtEachStepInTurn resumes one order with workers that are each killed after the next
// step.
func TestCrashAtEachStepInTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	o := w.several(t, w.engine(t, nil), "turn")
	left := *o
	for _, step := range intents {
		j := &journal{zone: w.zone, stored: left, killAt: step, written: true}
		if _, err := w.engine(t, nil).Run(t.Context(), &left, j); !errors.Is(err, errKilled) {
			t.Fatalf("Run killed at %s: error = %v, want errKilled", step, err)
		}
		left = j.stored
	}
	cert, err := w.engine(t, nil).Run(t.Context(), &left, &journal{zone: w.zone, stored: left})
	if err != nil {
		t.Fatal(err)
	}
	w.verify(t, cert, o)
	if n := w.ca.Orders(); n != 1 {
		t.Errorf("CA.Orders() = %d, want 1", n)
	}
}

func TestCSRMode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"csr.example.com", "*.csr.example.com", "csr.example.org"}
	der, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{DNSNames: names}, key)
	if err != nil {
		t.Fatal(err)
	}
	o := &controlplane.Order{OrgID: "org_1", DomainID: "dom_1", CA: "pebble", Names: names,
		KeyType: controlplane.KeyRSA2048}
	if err := e.Prepare(t.Context(), o, der); err != nil {
		t.Fatal(err)
	}
	cert, err := e.Run(t.Context(), o, w.journal(o))
	if err != nil {
		t.Fatal(err)
	}
	leaf := w.verify(t, cert, o)
	if !key.PublicKey.Equal(leaf.PublicKey) {
		t.Error("the certificate's key does not match the CSR")
	}
	if cert.HasKey() || o.SealedKey != nil || cert.KeyType != controlplane.KeyEC384 {
		t.Errorf("HasKey() = %v, KeyType = %s; want false and the CSR's type", cert.HasKey(),
			cert.KeyType)
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	o := w.order(t, e, "short.example.com")
	o.Profile = "shortlived"
	cert, err := e.Run(t.Context(), o, w.journal(o))
	if err != nil {
		t.Fatal(err)
	}
	if life := cert.NotAfter.Sub(cert.NotBefore).Round(time.Hour); cert.Profile != "shortlived" ||
		life != 160*time.Hour {
		t.Errorf("Profile = %q, lifetime %s", cert.Profile, life)
	}
	o = w.order(t, e, "none.example.com")
	o.Profile = "eternal"
	_, err = e.Run(t.Context(), o, w.journal(o))
	if e := wantError(t, err, acme.Policy, "ca-profile"); !e.Over ||
		!strings.Contains(string(e.Problem), "eternal") {
		t.Errorf("Over = %v, Problem = %s; want true and the CA's problem", e.Over, e.Problem)
	}
}

func TestReplaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	first := w.issue(t, e, "renew.example.com")
	for i, want := range []struct {
		replaces, kept string
	}{
		{first.ARIID, first.ARIID},                // a renewal
		{first.ARIID, ""},                         // replaced already (409)
		{"aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQ", ""}, // unknown to this CA
		{"rubbish", ""},
	} {
		o := w.order(t, e, "renew.example.com")
		o.Replaces = want.replaces
		cert, err := e.Run(t.Context(), o, w.journal(o))
		if err != nil {
			t.Fatalf("Run of replacement %d: %v", i, err)
		}
		w.verify(t, cert, o)
		if o.Replaces != want.kept {
			t.Errorf("%d: Replaces = %q, want %q", i, o.Replaces, want.kept)
		}
		time.Sleep(50 * time.Millisecond) // Pebble marks a certificate as replaced with a delay
	}
}

// TestParallelOrders runs 32 orders at once on each of two engines, with no account in the store.
func TestParallelOrders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	var wg sync.WaitGroup
	for n := range 2 {
		e := w.engine(t, nil)
		for i := range 32 {
			wg.Go(func() {
				name := fmt.Sprintf("p%d-%d.example.com", n, i)
				o := &controlplane.Order{OrgID: "org_1", DomainID: "dom_1", CA: "pebble",
					Names: []string{name, "*." + name}, KeyType: controlplane.KeyEC256}
				if err := e.Prepare(t.Context(), o, nil); err != nil {
					t.Error(err)
					return
				}
				cert, err := e.Run(t.Context(), o, w.journal(o))
				if err != nil {
					t.Error(err)
					return
				}
				w.verify(t, cert, o)
			})
		}
	}
	wg.Wait()
	if n := w.ca.Orders(); n != 64 {
		t.Errorf("CA.Orders() = %d, want 64", n)
	}
	if acct := w.accounts.only(t); acct.URL == "" || acct.Email != "ops@example.com" {
		t.Errorf("account = %+v, want one with a URL", acct)
	}
}

// TestStrictCA has nonces rejected, validation delayed, and authorizations reused.
func TestStrictCA(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{Strict: true})
	e := w.engine(t, nil)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 2 {
				name := fmt.Sprintf("s%d.example.com", i)
				o := w.order(t, e, name, "*."+name)
				cert, err := e.Run(t.Context(), o, w.journal(o))
				if err != nil {
					t.Error(err)
					return
				}
				w.verify(t, cert, o)
			}
		})
	}
	wg.Wait()
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, nil)
	o := w.order(t, e, "x.example.com")
	o.Step = controlplane.StepStored
	_, err := e.Run(t.Context(), o, w.journal(o))
	wantError(t, err, acme.Internal, "internal")
	o = w.order(t, e, "x.example.com")
	o.CA = "gone-ca"
	_, err = e.Run(t.Context(), o, w.journal(o))
	if e := wantError(t, err, acme.OrderGone, "ca-unknown"); !e.Over {
		t.Error("Over at an unconfigured CA = false, want true")
	}
	if w.ca.OrderRequests() != 0 {
		t.Error("the run sent requests to the CA")
	}
}

func publicKey(private any) any {
	return private.(crypto.Signer).Public()
}

// TestJournalObjects keeps an order from being finalized while its journal returns an error, even
// if the CA has validated all authorizations. Afterwards the same order continues.
func TestJournalObjects(t *testing.T) {
	t.Parallel()
	var finalized atomic.Int32
	w := newWorld(t, devstack.CAConfig{Reuse: true, Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/finalize-order/") {
				finalized.Add(1)
			}
			next.ServeHTTP(rw, r)
		})
	}})
	e := w.engine(t, nil)
	w.issue(t, e, "objected.example.com")
	o := w.order(t, e, "objected.example.com")
	j := w.journal(o)
	j.objects = errors.New("the CNAME is gone")
	for range 2 {
		if _, err := e.Run(t.Context(), o, j); !errors.Is(err, j.objects) {
			t.Fatalf("Run = %v, want the journal's error", err)
		}
	}
	if n := finalized.Load(); n != 1 || j.pubs != 0 || j.ready != 2 {
		t.Errorf("finalize requests = %d, want that of the first order alone; published %d times, Ready called %d times", n, j.pubs, j.ready)
	}
	j.objects = nil
	cert, err := e.Run(t.Context(), o, j)
	if err != nil {
		t.Fatal(err)
	}
	w.verify(t, cert, o)
}

// TestPrepareGeneratesFewRSAKeysAtATime checks that few RSA keys are generated at a time,
// distributed across organizations, and that an elliptic-curve key does not wait for them.
func TestPrepareGeneratesFewRSAKeysAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	gate := controlplane.NewGate(1, 1)
	e := w.engine(t, func(c *acme.Config) { c.RSAKeys = gate })
	leave, ok := gate.Enter("org_noisy")
	if !ok {
		t.Fatal("Enter = false, want true")
	}
	prepare := func(ctx context.Context, kt controlplane.KeyType) error {
		return e.Prepare(ctx, &controlplane.Order{OrgID: "org_quiet", DomainID: "dom_1",
			CA: "pebble", Names: []string{"example.com"}, KeyType: kt}, nil)
	}
	done := make(chan error, 1)
	go func() { done <- prepare(t.Context(), controlplane.KeyRSA2048) }()
	for gate.Waiting() == 0 {
		select {
		case err := <-done:
			t.Fatalf("Prepare(rsa2048) = %v, want it to wait", err)
		default:
			runtime.Gosched()
		}
	}
	if err := prepare(t.Context(), controlplane.KeyEC256); err != nil {
		t.Errorf("Prepare(ec256) = %v, want no wait", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- prepare(ctx, controlplane.KeyRSA4096) }()
	for gate.Waiting() < 2 {
		runtime.Gosched()
	}
	cancel()
	if e, ok := errors.AsType[*acme.Error](<-stopped); !ok || e.Class != acme.Interrupted {
		t.Errorf("Prepare with a canceled context = %v, want Interrupted", e)
	}
	leave()
	if err := <-done; err != nil {
		t.Errorf("Prepare(rsa2048) = %v", err)
	}
}
