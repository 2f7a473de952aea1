package acme_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-acme/lego/v4/acme/api"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/acme"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/devstack"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/seal"
)

const pathKeyChange = "/rollover-account-key"

// changeable is an account store that can change keys, as the database does.
type changeable struct {
	*accounts
	planned map[string][]byte
	failing bool // TakeAccountKey fails
	sealer  *seal.Sealer
}

// reseal seals the account's key again, as dcvaas admin rotate-keyset --reseal does.
func (a *changeable) reseal(directoryURL string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	row := a.rows[directoryURL]
	plain, err := a.sealer.Open(row.SealedKey, directoryURL)
	if err != nil {
		return err
	}
	row.SealedKey, err = a.sealer.Seal(plain, directoryURL)
	a.rows[directoryURL] = row
	return err
}

func (a *changeable) PlannedAccountKey(ctx context.Context, directoryURL string) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.planned[directoryURL], ctx.Err()
}

func (a *changeable) PlanAccountKey(
	ctx context.Context, directoryURL string, sealed, next []byte,
) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !bytes.Equal(a.rows[directoryURL].SealedKey, sealed) {
		return nil, ctx.Err()
	}
	if a.planned[directoryURL] == nil {
		a.planned[directoryURL] = next
	}
	return a.planned[directoryURL], ctx.Err()
}

func (a *changeable) TakeAccountKey(
	ctx context.Context, directoryURL string, sealed []byte, url string,
) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failing {
		return false, errKilled
	}
	row := a.rows[directoryURL]
	if !bytes.Equal(row.SealedKey, sealed) || a.planned[directoryURL] == nil {
		return false, ctx.Err()
	}
	row.SealedKey, row.URL = a.planned[directoryURL], url
	a.rows[directoryURL] = row
	delete(a.planned, directoryURL)
	return true, ctx.Err()
}

func (a *changeable) fail(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failing = on
}

// rollWorld returns a world with a store that can change keys.
func rollWorld(t *testing.T) (*world, *faulty, *changeable, func() *acme.Engine) {
	t.Helper()
	f := &faulty{seen: map[string]int{},
		fault: map[string]func(int, http.ResponseWriter, *http.Request, http.Handler){}}
	w := newWorld(t, devstack.CAConfig{Wrap: func(next http.Handler) http.Handler {
		f.next = newKeyGate(next)
		return f
	}})
	store := &changeable{accounts: w.accounts, planned: map[string][]byte{}}
	return w, f, store, func() *acme.Engine {
		return w.engine(t, func(cfg *acme.Config) {
			newVirtual().use(cfg)
			cfg.Accounts = store
		})
	}
}

// keyGate keeps Pebble from changing an account's key while it reads the key without a lock: for
// another request or for a validation, whose end is visible in the authorization.
type keyGate struct {
	next http.Handler
	key  sync.RWMutex // write-locked while a key is changed

	mu         sync.Mutex
	moved      *sync.Cond
	changing   int
	validating map[string]bool // paths of authorizations
}

func newKeyGate(next http.Handler) *keyGate {
	g := &keyGate{next: next, validating: map[string]bool{}}
	g.moved = sync.NewCond(&g.mu)
	return g
}

func (g *keyGate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := httptest.NewRecorder()
	switch {
	case r.URL.Path == pathKeyChange:
		g.mu.Lock()
		for g.changing++; len(g.validating) > 0; {
			g.moved.Wait()
		}
		g.mu.Unlock()
		g.key.Lock()
		g.next.ServeHTTP(rec, r)
		g.key.Unlock()
		g.mu.Lock()
		g.changing--
	case strings.HasPrefix(r.URL.Path, pathChallenge):
		g.mu.Lock()
		for g.changing > 0 {
			g.moved.Wait()
		}
		g.validating[r.URL.Path] = true // until its authorization is final
		g.mu.Unlock()
		g.pass(rec, r)
		g.mu.Lock()
		delete(g.validating, r.URL.Path)
		for _, link := range rec.Header().Values("Link") {
			if at := strings.Index(link, pathAuthz); at >= 0 &&
				strings.Contains(link, `rel="up"`) && rec.Code == http.StatusOK {
				g.validating[link[at:strings.Index(link, ">")]] = true
			}
		}
	default:
		g.pass(rec, r)
		g.mu.Lock()
		if !bytes.Contains(rec.Body.Bytes(), []byte(`"status": "pending"`)) {
			delete(g.validating, r.URL.Path)
		}
	}
	g.moved.Broadcast()
	g.mu.Unlock()
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

func (g *keyGate) pass(w http.ResponseWriter, r *http.Request) {
	g.key.RLock()
	defer g.key.RUnlock()
	g.next.ServeHTTP(w, r)
}

// resealedAccounts is a changeable whose account is resealed between each read and the following
// change, once for each change.
type resealedAccounts struct {
	*changeable
	plans, takes int
}

func (a *resealedAccounts) PlanAccountKey(
	ctx context.Context, directoryURL string, sealed, next []byte,
) ([]byte, error) {
	if a.plans++; a.plans%2 == 1 {
		if err := a.reseal(directoryURL); err != nil {
			return nil, err
		}
	}
	return a.changeable.PlanAccountKey(ctx, directoryURL, sealed, next)
}

func (a *resealedAccounts) TakeAccountKey(
	ctx context.Context, directoryURL string, sealed []byte, url string,
) (bool, error) {
	if a.takes++; a.takes%2 == 1 {
		if err := a.reseal(directoryURL); err != nil {
			return false, err
		}
	}
	return a.changeable.TakeAccountKey(ctx, directoryURL, sealed, url)
}

// TestRollOverWhileResealed seals the account's key again during the rollover, which still changes
// the key: a resealed key is the same key.
func TestRollOverWhileResealed(t *testing.T) {
	t.Parallel()
	w, _, store, _ := rollWorld(t)
	accounts := &resealedAccounts{changeable: store}
	store.sealer = w.sealer
	e := w.engine(t, func(cfg *acme.Config) {
		newVirtual().use(cfg)
		cfg.Accounts = accounts
	})
	w.issue(t, e, "a.example.com")
	before := store.only(t)
	if err := e.RollOver(t.Context(), "pebble", ""); err != nil {
		t.Fatal(err)
	}
	after := store.rolled(t, before)
	if accounts.plans != 2 || accounts.takes != 2 {
		t.Errorf("changes of the account = %d plans and %d takes, want 2 of each", accounts.plans,
			accounts.takes)
	}
	old, err := w.sealer.Open(before.SealedKey, before.DirectoryURL)
	if err != nil {
		t.Fatal(err)
	}
	if now, err := w.sealer.Open(after.SealedKey, after.DirectoryURL); err != nil ||
		bytes.Equal(now, old) {
		t.Errorf("key after RollOver is the previous one = %v, %v, want another", bytes.Equal(now,
			old), err)
	}
	w.issue(t, e, "b.example.com")
}

// rolled checks that the account is the same one with another key, and that no key is planned.
func (a *changeable) rolled(t *testing.T, before controlplane.Account) controlplane.Account {
	t.Helper()
	now := a.only(t)
	if now.URL != before.URL || bytes.Equal(now.SealedKey, before.SealedKey) ||
		len(a.planned) != 0 {
		t.Errorf("account = %q (before: %q), key kept = %v, planned keys = %d; want the same account with a new key", now.URL, before.URL, bytes.Equal(now.SealedKey, before.SealedKey), len(a.planned))
	}
	return now
}

func TestRollOver(t *testing.T) {
	t.Parallel()
	w, _, store, engine := rollWorld(t)
	e, other := engine(), engine()
	if err := e.RollOver(t.Context(), "pebble", ""); err != nil { // no account exists yet
		t.Fatal(err)
	}
	w.issue(t, e, "a.example.com")
	w.issue(t, other, "b.example.com")
	for i := range 3 {
		before := store.only(t)
		half := w.order(t, other, fmt.Sprintf("half%d.example.com", i))
		j := w.journal(half)
		j.killAt, j.written = []controlplane.OrderStep{controlplane.StepOrdered,
			controlplane.StepAuthorized, controlplane.StepReady}[i], true
		if _, err := other.Run(t.Context(), half, j); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		if err := e.RollOver(t.Context(), "pebble", ""); err != nil {
			t.Fatal(err)
		}
		store.rolled(t, before)
		// The other process has the old key and an order started with it.
		left := j.stored
		orders := w.ca.Orders()
		cert, err := other.Run(t.Context(), &left, &journal{zone: w.zone, stored: left})
		if err != nil {
			t.Fatalf("resume the order at step %s: %v", left.Step, err)
		}
		w.verify(t, cert, &left)
		if w.ca.Orders() != orders {
			t.Error("the resumed run placed a second order")
		}
		w.issue(t, e, fmt.Sprintf("c%d.example.com", i))
		w.issue(t, engine(), fmt.Sprintf("d%d.example.com", i))
	}
}

// TestRevokeAfterRollOver revokes with a process that has the old key.
func TestRevokeAfterRollOver(t *testing.T) {
	t.Parallel()
	w, _, _, engine := rollWorld(t)
	e, other := engine(), engine()
	cert := w.issue(t, other, "revoke.example.com")
	if err := e.RollOver(t.Context(), "pebble", ""); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(cert.ChainPEM))
	if err := other.Revoke(t.Context(), block.Bytes, "pebble", "", 4); err != nil {
		t.Error(err)
	}
}

// TestRollOverCutOff stops the rollover before, while, and after the CA processes it.
func TestRollOverCutOff(t *testing.T) {
	t.Parallel()
	w, f, store, engine := rollWorld(t)
	e, old := engine(), engine()
	w.issue(t, e, "a.example.com")
	w.issue(t, old, "b.example.com")
	before := store.only(t)

	f.cut(pathKeyChange, 1000, false) // the CA never receives it
	if err := e.RollOver(t.Context(), "pebble", ""); err == nil {
		t.Fatal("RollOver = nil error, want an error")
	}
	planned := store.planned[w.ca.DirectoryURL()]
	if planned == nil {
		t.Fatal("the key was not stored before it was used")
	}
	w.issue(t, e, "c.example.com")
	w.issue(t, engine(), "d.example.com")
	f.on(pathKeyChange, nil)
	if err := e.RollOver(t.Context(), "pebble", ""); err != nil {
		t.Fatal(err)
	}
	if now := store.rolled(t, before); !bytes.Equal(now.SealedKey, planned) {
		t.Error("RollOver created another key while one was planned")
	}

	before = store.only(t)
	f.cut(pathKeyChange, 1000, true) // the CA processes it, and its response is lost
	if err := e.RollOver(t.Context(), "pebble", ""); err != nil {
		t.Fatal(err)
	}
	f.on(pathKeyChange, nil)
	store.rolled(t, before)
	w.issue(t, old, "e.example.com")

	for _, finish := range []func(){
		func() { w.issue(t, old, "f.example.com") },
		func() { w.issue(t, engine(), "g.example.com") },
		func() {
			if err := old.RollOver(t.Context(), "pebble", ""); err != nil {
				t.Error(err)
			}
		},
	} {
		before = store.only(t)
		store.fail(true) // the worker dies between the CA and the store
		if err := e.RollOver(t.Context(), "pebble", ""); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		store.fail(false)
		finish()
		store.rolled(t, before)
		w.issue(t, e, "h.example.com")
	}
}

// TestRollOverUnderLoad changes the key repeatedly from two processes while both run orders.
func TestRollOverUnderLoad(t *testing.T) {
	t.Parallel()
	w, _, store, engine := rollWorld(t)
	engines := []*acme.Engine{engine(), engine()}
	w.issue(t, engines[0], "first.example.com")
	before := store.only(t)
	var wg sync.WaitGroup
	for i, e := range engines {
		wg.Go(func() {
			for range 3 {
				if err := e.RollOver(t.Context(), "pebble", ""); err != nil {
					t.Error(err)
				}
			}
		})
		for n := range 4 {
			wg.Go(func() {
				for k := range 3 {
					o := w.order(t, e, fmt.Sprintf("load%d-%d-%d.example.com", i, n, k))
					j := w.journal(o)
					cert, err := e.Run(t.Context(), o, j)
					// two changes within one order are too many
					for again := 0; err != nil && again < 10; again++ {
						o = w.order(t, e, o.Names...)
						cert, err = e.Run(t.Context(), o, w.journal(o))
					}
					if err != nil {
						t.Error(err)
						return
					}
					w.verify(t, cert, o)
				}
			})
		}
	}
	wg.Wait()
	store.rolled(t, before)
}

func TestRollOverRefused(t *testing.T) {
	t.Parallel()
	w, f, store, engine := rollWorld(t)
	e := engine()
	w.issue(t, e, "a.example.com")
	before := store.only(t)
	f.answer(pathKeyChange, 0, 403, nil,
		fmt.Sprintf(`{"type":"%sunauthorized","detail":"no"}`, urn))
	wantError(t, e.RollOver(t.Context(), "pebble", ""), acme.BadAccount, "ca-account")
	if now := store.only(t); !bytes.Equal(now.SealedKey, before.SealedKey) {
		t.Error("the key changed although the CA rejected it")
	}
	f.on(pathKeyChange, nil)
	w.issue(t, e, "b.example.com")

	f.rewrite(pathDirectory, func(_ int, dir map[string]any,
		_ http.Header) {
		delete(dir, "keyChange")
	})
	wantError(t, engine().RollOver(t.Context(), "pebble", ""), acme.BadAccount, "ca-account")
	wantError(t, e.RollOver(t.Context(), "gone", ""), acme.OrderGone, "ca-unknown")
	wantError(t, w.engine(t, nil).RollOver(t.Context(), "pebble", ""), acme.Internal, "internal")
}

// TestDeactivatedAccount has the CA deactivate the account: all engines together register one new
// account with another key.
func TestDeactivatedAccount(t *testing.T) {
	t.Parallel()
	w, _, store, engine := rollWorld(t)
	e := engine()
	w.issue(t, e, "a.example.com")
	for i, prepare := range []func() []*acme.Engine{
		func() []*acme.Engine { return []*acme.Engine{e} },
		func() []*acme.Engine { return []*acme.Engine{engine(), e} },
		func() []*acme.Engine { // its URL is removed too
			if err := store.SetAccountURL(t.Context(), w.ca.DirectoryURL(), ""); err != nil {
				t.Fatal(err)
			}
			return []*acme.Engine{engine(), e}
		},
	} {
		before := store.only(t)
		half := w.order(t, e, fmt.Sprintf("half%d.example.com", i))
		j := w.journal(half)
		j.killAt, j.written = controlplane.StepOrdered, true
		if _, err := e.Run(t.Context(), half, j); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		w.deactivate(t, before)
		for k, e := range prepare() {
			w.issue(t, e, fmt.Sprintf("after%d-%d.example.com", i, k))
		}
		now := store.only(t)
		if now.URL == before.URL || bytes.Equal(now.SealedKey, before.SealedKey) {
			t.Errorf("%d: account = %q (before: %q), want a new one", i, now.URL, before.URL)
		}
		left := j.stored
		_, err := e.Run(t.Context(), &left, &journal{zone: w.zone, stored: left})
		wantError(t, err, acme.OrderGone, "order-expired")
		if again := store.only(t); again.URL != now.URL {
			t.Errorf("%d: the other engine registered a third account", i)
		}
	}
}

// deactivate deactivates an account at the CA, as its owner.
func (w *world) deactivate(t *testing.T, acct controlplane.Account) {
	t.Helper()
	text, err := w.sealer.Open(acct.SealedKey, acct.DirectoryURL)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	core, err := api.New(w.ca.HTTPClient(), "test", w.ca.DirectoryURL(), acct.URL,
		key.(crypto.Signer))
	if err != nil {
		t.Fatal(err)
	}
	if err := core.Accounts.Deactivate(acct.URL); err != nil {
		t.Fatal(err)
	}
}
