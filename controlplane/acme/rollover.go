package acme

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	lego "github.com/go-acme/lego/v4/acme"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// AccountKeys is implemented by an Accounts that can change an account's key. The next key is
// stored before it is sent to the CA, and each change names the key that it replaces, so that only
// one of two workers succeeds.
type AccountKeys interface {
	// PlannedAccountKey returns the account's sealed next key, or nil if none is planned.
	PlannedAccountKey(ctx context.Context, directoryURL string) ([]byte, error)
	// PlanAccountKey stores next as the account's next key if the current key is sealed and no key
	// is planned. It returns the planned key, or nil if the current key is no longer sealed.
	PlanAccountKey(ctx context.Context, directoryURL string, sealed, next []byte) ([]byte, error)
	// TakeAccountKey makes the planned key the account's key and sets the account's URL. It does
	// nothing and returns false if the current key is no longer sealed or no key is planned.
	TakeAccountKey(
		ctx context.Context, directoryURL string, sealed []byte, url string,
	) (bool, error)
}

// RollOver gives an account at the CA with the given name a new key (RFC 8555 §7.3.5). It registers
// the account first if necessary, and finishes an interrupted rollover instead of starting another.
// Config.Accounts must implement AccountKeys. Active orders continue in every process: after a
// rejection they load the new key. It returns an *Error or the store's error.
//
// The steps are:
//
//  1. The new key is stored as planned.
//  2. The CA is notified, in a request that both keys have signed.
//  3. The planned key becomes the account's key.
//
// A worker that finds a planned key asks the CA for its account. If the CA knows the key, step 2
// was completed.
func (e *Engine) RollOver(ctx context.Context, ca, account string) error {
	at, err := e.authority(ca)
	if err != nil {
		return err
	}
	a := at.registrar(account)
	keys, err := a.accountKeys()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.RunTimeout, errSlow)
	defer cancel()
	if err := a.dropAccount(ctx); err != nil {
		return err
	}
	acct, err := a.registered(ctx, "")
	if err != nil {
		return err
	}
	select {
	case a.lock <- struct{}{}:
		defer func() { <-a.lock }()
	case <-ctx.Done():
		return a.interrupted(ctx)
	}
	stored, err := a.storedAccount(ctx)
	if err != nil {
		return err
	}
	if !a.isSameKey(stored.SealedKey, acct.sealed) || stored.URL != acct.url {
		a.account = nil // another worker has changed the key or removed the account
		return nil
	}
	if done, err := a.settle(ctx, keys, stored); err != nil || done {
		return err
	}
	next, err := a.plan(ctx, keys, stored)
	if err != nil {
		return err
	}
	if next == nil {
		a.account = nil
		return nil
	}
	if err := a.changeKey(ctx, acct, next); err != nil {
		if now, bad := a.storedAccount(ctx); bad == nil &&
			!a.isSameKey(now.SealedKey, stored.SealedKey) {
			a.account = nil
			return nil // another worker was faster
		}
		return err
	}
	if err := a.take(ctx, keys, stored, acct.url); err != nil {
		return err
	}
	a.account = nil // reload it: another worker may have stored the key
	a.cfg.Logger.InfoContext(ctx, "acme: account key rolled over", "ca", a.Name,
		"account", acct.url)
	return nil
}

// dropAccount drops the cached account, so that it is read from the store again.
func (a *registrar) dropAccount(ctx context.Context) error {
	select {
	case a.lock <- struct{}{}:
		a.account = nil
		<-a.lock
		return nil
	case <-ctx.Done():
		return a.interrupted(ctx)
	}
}

func (a *registrar) accountKeys() (AccountKeys, error) {
	keys, ok := a.cfg.Accounts.(AccountKeys)
	if !ok {
		return nil, internal(a.Name, errors.New("the account store does not support key changes"))
	}
	return keys, nil
}

// plan stores a new key as planned and returns the planned key, or nil if the account's key has
// changed.
func (a *registrar) plan(
	ctx context.Context, keys AccountKeys, stored *controlplane.Account,
) (crypto.Signer, error) {
	sealed, err := a.newKey()
	if err != nil {
		return nil, err
	}
	for {
		planned, err := keys.PlanAccountKey(ctx, a.ref, stored.SealedKey, sealed)
		if err != nil {
			return nil, a.storeError(ctx, err)
		}
		if planned != nil {
			return a.openPlanned(planned)
		}
		if stored, err = a.resealed(ctx, stored); err != nil || stored == nil {
			return nil, err
		}
	}
}

// take makes the planned key the account's key and sets the account's URL. It does nothing if the
// account's key has changed or no key is planned.
func (a *registrar) take(
	ctx context.Context, keys AccountKeys, stored *controlplane.Account, url string,
) error {
	for {
		done, err := keys.TakeAccountKey(ctx, a.ref, stored.SealedKey, url)
		if err != nil {
			return a.storeError(ctx, err)
		}
		if done {
			return nil
		}
		if stored, err = a.resealed(ctx, stored); err != nil || stored == nil {
			return err
		}
	}
}

// resealed returns the account as it is stored now, if its key is the same and was resealed after
// before was read, and nil otherwise.
func (a *registrar) resealed(
	ctx context.Context, before *controlplane.Account,
) (*controlplane.Account, error) {
	now, err := a.storedAccount(ctx)
	if err != nil || bytes.Equal(now.SealedKey, before.SealedKey) ||
		!a.isSameKey(now.SealedKey, before.SealedKey) {
		return nil, err
	}
	return now, nil
}

// isSameKey reports whether two sealed account keys are the same key: one can have been resealed.
func (a *registrar) isSameKey(sealed, other []byte) bool {
	if bytes.Equal(sealed, other) {
		return true
	}
	one, err := openKey(a.cfg.Sealer, sealed, a.ref)
	if err != nil {
		return false
	}
	two, err := openKey(a.cfg.Sealer, other, a.ref)
	if err != nil {
		return false
	}
	public, ok := one.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(two.Public())
}

func (a *registrar) openPlanned(sealed []byte) (crypto.Signer, error) {
	key, err := openKey(a.cfg.Sealer, sealed, a.ref)
	if err != nil {
		return nil, internal(a.Name, fmt.Errorf("planned account key: %w", err))
	}
	return key, nil
}

// settle finishes an interrupted rollover if the CA has processed it. It reports whether the
// account now has a new key.
func (a *registrar) settle(
	ctx context.Context, keys AccountKeys, stored *controlplane.Account,
) (bool, error) {
	planned, err := keys.PlannedAccountKey(ctx, a.ref)
	if err != nil {
		return false, a.storeError(ctx, err)
	}
	if planned == nil || stored.URL == "" {
		return false, nil
	}
	key, err := a.openPlanned(planned)
	if err != nil {
		return false, err
	}
	owner, err := a.owner(ctx, key)
	if err != nil || owner != stored.URL {
		return false, err
	}
	if err := a.take(ctx, keys, stored, stored.URL); err != nil {
		return false, err
	}
	a.account = nil
	a.cfg.Logger.InfoContext(ctx, "acme: interrupted account key rollover finished", "ca", a.Name,
		"account", stored.URL)
	return true, nil
}

// owner returns the URL of the account with the given key, or "" (RFC 8555 §7.3.1).
func (a *registrar) owner(ctx context.Context, key crypto.Signer) (string, error) {
	s, err := a.open(ctx, key, "")
	if err != nil {
		return "", err
	}
	var got lego.ExtendedAccount
	err = s.do(atAccount, func() (err error) {
		got, err = s.core.Accounts.New(lego.Account{OnlyReturnExisting: true})
		return err
	})
	if e, ok := errors.AsType[*Error](err); ok && e.problemType == "accountDoesNotExist" {
		return "", nil
	}
	return got.Location, err
}

// changeKey sends the new key to the CA. If the CA reports that the account already has it, that
// counts as success.
func (a *registrar) changeKey(ctx context.Context, acct *account, next crypto.Signer) error {
	dir, err := a.directory(ctx)
	if err != nil {
		return err
	}
	if dir.KeyChangeURL == "" {
		return &Error{Class: BadAccount, Code: "ca-account", CA: a.Name, Message: a.Name +
			" does not support account key changes.",
			Fix: "No action needed. The account keeps its key."}
	}
	s, err := a.open(ctx, acct.key, acct.url)
	if err != nil {
		return err
	}
	old, err := publicJWK(acct.key)
	if err != nil {
		return internal(a.Name, err)
	}
	change, err := json.Marshal(struct {
		Account string `json:"account"`
		OldKey  *jwk   `json:"oldKey"`
	}{acct.url, old})
	if err != nil {
		return internal(a.Name, err)
	}
	inner, err := signJWS(next, "", "", dir.KeyChangeURL, change)
	if err != nil {
		return internal(a.Name, err)
	}
	err = s.do(atKeyChange, func() error {
		return s.post(dir.NewNonceURL, dir.KeyChangeURL, acct, inner)
	})
	if e, ok := errors.AsType[*Error](err); ok && e.Class != Interrupted {
		if owner, bad := a.owner(ctx, next); bad == nil && owner == acct.url {
			return nil
		}
		e.Over = false // not an order's error
	}
	return err
}

// post sends a payload signed with the account's key.
func (s *session) post(nonceURL, url string, acct *account, payload []byte) error {
	head, err := http.NewRequestWithContext(s.wire.ctx, http.MethodHead, nonceURL, nil)
	if err != nil {
		return err
	}
	head.Header.Set("User-Agent", s.ca.cfg.UserAgent)
	resp, err := s.wire.RoundTrip(head)
	if err != nil {
		return err
	}
	body, err := signJWS(acct.key, acct.url, resp.Header.Get("Replay-Nonce"), url, payload)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(s.wire.ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/jose+json")
	req.Header.Set("User-Agent", s.ca.cfg.UserAgent)
	_, err = s.wire.RoundTrip(req)
	return err
}
