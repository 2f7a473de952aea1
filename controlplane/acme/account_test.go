package acme_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

func TestExternalAccountBinding(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte("k"), 32)
	mac := base64.RawURLEncoding.EncodeToString(raw)
	w := newWorld(t, devstack.CAConfig{EAB: map[string]string{"kid-1": mac}})
	bind := func(kid, hmac string) *acme.Engine {
		return w.engine(t, func(cfg *acme.Config) {
			cfg.CAs[0].EABKeyID, cfg.CAs[0].EABHMAC = kid,
				hmac
		})
	}
	for name, e := range map[string]*acme.Engine{
		"none":        bind("", ""),
		"unknown kid": bind("kid-2", mac),
		"invalid key": bind("kid-1", base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte("x"),
			32))),
	} {
		o := w.order(t, e, "eab.example.com")
		_, err := e.Run(t.Context(), o, w.journal(o))
		got, ok := errors.AsType[*acme.Error](err)
		if !ok || !got.Class.Refusal() || !got.Over {
			t.Errorf("%s: Run error = %v, want a refusal", name, err)
		}
		if name == "none" && got.Code != "ca-account" {
			t.Errorf("%s: code = %s, want ca-account", name, got.Code)
		}
	}
	w.issue(t, bind("kid-1", base64.URLEncoding.EncodeToString(raw)), "eab.example.com")
	w.accounts.only(t)
}

// TestAccountForgotten restarts the CA, which then knows neither account nor order. Every engine
// detects this, keeps the key, and together they register one account again.
func TestAccountForgotten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWorld(t, devstack.CAConfig{StateDir: dir})
	engines := []*acme.Engine{w.engine(t, nil), w.engine(t, nil)}
	for i, e := range engines {
		w.issue(t, e, fmt.Sprintf("before%d.example.com", i))
	}
	old := w.accounts.only(t)
	half := w.order(t, engines[0], "half.example.com")
	j := w.journal(half)
	j.killAt, j.written = controlplane.StepAuthorized, true
	if _, err := engines[0].Run(t.Context(), half, j); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}

	address := strings.TrimSuffix(strings.TrimPrefix(w.ca.DirectoryURL(), "https://"),
		pathDirectory)
	if err := w.ca.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	again, err := devstack.StartCA(devstack.CAConfig{StateDir: dir, Listen: address,
		Resolver: w.zone.addr, Log: noLog{}, Wrap: oneAccountAtATime(nil)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Stop(context.Background()) })
	w.ca = again

	left := j.stored
	_, err = engines[1].Run(t.Context(), &left, &journal{zone: w.zone, stored: left})
	wantError(t, err, acme.OrderGone, "order-expired")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			e := engines[i%2]
			o := w.order(t, e, fmt.Sprintf("after%d.example.com", i))
			cert, err := e.Run(t.Context(), o, w.journal(o))
			if err != nil {
				t.Error(err)
				return
			}
			w.verify(t, cert, o)
		})
	}
	wg.Wait()
	if acct := w.accounts.only(t); acct.URL == old.URL || acct.URL == "" ||
		!bytes.Equal(acct.SealedKey, old.SealedKey) {
		t.Errorf("account URL = %q (before: %q), key kept = %v; want a new URL with the same key",
			acct.URL, old.URL, bytes.Equal(acct.SealedKey, old.SealedKey))
	}
	if n := again.Orders(); n != 8 {
		t.Errorf("CA.Orders() = %d, want 8", n)
	}
}

// TestRegisteredAgain has a CA that no longer knows the account, at an order and at a revocation:
// it is registered again, and Config.Registered is called each time.
func TestRegisteredAgain(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	var registered []string
	e := w.engine(t, func(c *acme.Config) {
		c.Registered = func(_ context.Context, ca, account string) error {
			registered = append(registered, ca)
			return errors.New("the states are not available")
		}
	})
	forget := func(path string, times int) {
		f.answer(path, times, 400, nil,
			fmt.Sprintf(`{"type":"%saccountDoesNotExist","detail":"who?"}`, urn))
	}
	want := func(when string, want int) {
		t.Helper()
		if len(registered) != want || registered[0] != "pebble" {
			t.Errorf("registered %s = %q, want %d times at pebble", when, registered, want)
		}
	}
	cert := w.issue(t, e, "first.example.com")
	want("at first", 1)
	w.issue(t, e, "known.example.com")
	want("with the same account", 1)
	forget(pathNewOrder, 1)
	w.issue(t, e, "again.example.com")
	want("after an order", 2)
	forget(pathRevoke, 1)
	block, _ := pem.Decode([]byte(cert.ChainPEM))
	if err := e.Revoke(t.Context(), block.Bytes, "pebble", "", 4); err != nil {
		t.Errorf("Revoke = %v, want success with the account that was registered again", err)
	}
	want("after a revocation", 3)
	forget(pathRevoke, 0)
	wantError(t, e.Revoke(t.Context(), block.Bytes, "pebble", "", 4), acme.BadAccount, "ca-account")
	want("for a revocation that is rejected again", 4)
}

// TestAccountNeverKnown has a CA that forgets the account each time: the run fails instead of
// registering again and again.
func TestAccountNeverKnown(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{})
	f.answer(pathNewOrder, 0, 400, nil,
		fmt.Sprintf(`{"type":"%saccountDoesNotExist","detail":"who?"}`, urn))
	e := w.engine(t, nil)
	o := w.order(t, e, "who.example.com")
	_, err := e.Run(t.Context(), o, w.journal(o))
	wantError(t, err, acme.BadAccount, "ca-account")
	if n := f.requests(pathAccount); n > 2 {
		t.Errorf("account requests = %d, want at most the first and one retry", n)
	}
}

// TestRegistrationCrash stops the worker between storing the key and registering the account.
func TestRegistrationCrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, func(cfg *acme.Config) { cfg.Accounts = deadAtURL{w.accounts} })
	o := w.order(t, e, "reg.example.com")
	_, err := e.Run(t.Context(), o, w.journal(o))
	wantError(t, err, acme.Internal, "internal")
	if !errors.Is(err, errKilled) {
		t.Errorf("Run error = %v, want it to wrap the store's error", err)
	}
	w.issue(t, w.engine(t, nil), "reg.example.com")
	w.accounts.only(t)
}

type deadAtURL struct{ *accounts }

func (deadAtURL) SetAccountURL(context.Context, string, string) error { return errKilled }

func TestAccountKeyOfAnotherKeyset(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	w.issue(t, w.engine(t, nil), "a.example.com")
	keyset, err := seal.New()
	if err != nil {
		t.Fatal(err)
	}
	other, err := seal.Open(keyset)
	if err != nil {
		t.Fatal(err)
	}
	e := w.engine(t, func(cfg *acme.Config) { cfg.Sealer = other })
	o := w.order(t, e, "b.example.com")
	_, err = e.Run(t.Context(), o, w.journal(o))
	wantError(t, err, acme.Internal, "internal")
	if !errors.Is(err, seal.ErrOpen) {
		t.Errorf("Run error = %v, want it to wrap seal.ErrOpen", err)
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	w, f := newFaultyWorld(t, devstack.CAConfig{CAAIdentities: []string{"ca.test"}})
	e := w.engine(t, nil)
	for range 3 {
		dir, err := e.Directory(t.Context(), "pebble")
		if err != nil {
			t.Fatal(err)
		}
		if len(dir.CAAIdentities) != 1 || dir.CAAIdentities[0] != "ca.test" ||
			len(dir.Profiles) != 3 || !dir.RenewalInfo {
			t.Errorf("Directory(pebble) = %+v, want the profiles and RenewalInfo of Pebble", dir)
		}
	}
	f.on(pathDirectory, nil)
	w.issue(t, e, "dir.example.com")
	if n := f.requests(pathDirectory); n != 0 {
		t.Errorf("directory requests while cached = %d, want 0", n)
	}
	for _, body := range []string{"", "null", "<html>", "{}", `{"newOrder":"https://x.test/"}`,
		`{"newNonce":"http://x.test/","newAccount":"https://x.test/","newOrder":"https://x.test/"}`,
		`{"newNonce":"/nonce","newAccount":"https://x.test/","newOrder":"https://x.test/"}`} {
		f.answer(pathDirectory, 0, 200, nil, body)
		_, err := w.engine(t, nil).Directory(t.Context(), "pebble")
		wantError(t, err, acme.Unreachable, "ca-protocol")
	}
	f.answer(pathDirectory, 0, 404, nil, "")
	_, err := w.engine(t, nil).Directory(t.Context(), "pebble")
	wantError(t, err, acme.Unreachable, "ca-unreachable")
}

func TestUntrustedDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	e := w.engine(t, func(cfg *acme.Config) { cfg.CAs[0].RootCAs = nil })
	_, err := e.Directory(t.Context(), "pebble")
	if e := wantError(t, err, acme.Unreachable, "ca-unreachable"); !strings.Contains(e.Fix,
		"root certificate") {
		t.Errorf("Fix = %q, want the root certificate in it", e.Fix)
	}
}

func TestNewChecksConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t, devstack.CAConfig{})
	good := acme.CA{Name: "a", DirectoryURL: "https://ca.test/dir"}
	for name, change := range map[string]func(*acme.Config){
		"no CA":            func(cfg *acme.Config) { cfg.CAs = nil },
		"no accounts":      func(cfg *acme.Config) { cfg.Accounts = nil },
		"no sealer":        func(cfg *acme.Config) { cfg.Sealer = nil },
		"no name":          func(cfg *acme.Config) { cfg.CAs[0].Name = "" },
		"twice":            func(cfg *acme.Config) { cfg.CAs = []acme.CA{good, good} },
		"http":             func(cfg *acme.Config) { cfg.CAs[0].DirectoryURL = "http://ca.test/dir" },
		"no URL":           func(cfg *acme.Config) { cfg.CAs[0].DirectoryURL = ":" },
		"EAB without HMAC": func(cfg *acme.Config) { cfg.CAs[0].EABKeyID = "kid" },
		"two contacts":     func(cfg *acme.Config) { cfg.CAs[0].Email = "a@x.test, b@x.test" },
	} {
		cfg := acme.Config{CAs: []acme.CA{good}, Accounts: w.accounts, Sealer: w.sealer}
		change(&cfg)
		if _, err := acme.New(cfg); err == nil {
			t.Errorf("%s: New = nil error, want an error", name)
		}
	}
	e, err := acme.New(acme.Config{CAs: []acme.CA{good,
		{Name: "b", DirectoryURL: "https://b.test/"}}, Accounts: w.accounts, Sealer: w.sealer})
	if err != nil {
		t.Fatal(err)
	}
	if names := e.CAs(); len(names) != 2 || names[0] != "a" || names[1] != "b" {
		t.Errorf("CAs() = %q, want the configured names in order", names)
	}
}
