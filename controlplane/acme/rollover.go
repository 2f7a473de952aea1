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

// AccountKeys is what Accounts must do besides, so that an account can get another key. The key that is meant to be the next
// is stored before the CA hears of it, and every change says which key it replaces, so that of two workers one is heard.
type AccountKeys interface {
	// PlannedAccountKey returns the sealed key that the account is meant to get, or nil and no error.
	PlannedAccountKey(ctx context.Context, directoryURL string) ([]byte, error)
	// PlanAccountKey stores next as the key that the account is meant to get, where its key is sealed and none is planned yet.
	// It returns what is planned then; nil where the account's key is another by now.
	PlanAccountKey(ctx context.Context, directoryURL string, sealed, next []byte) ([]byte, error)
	// TakeAccountKey makes the planned key the account's key, and url its URL, where its key still is sealed and one is planned.
	// It is no error where it is not.
	TakeAccountKey(ctx context.Context, directoryURL string, sealed []byte, url string) error
}

// RollOver gives the account at the CA of that name a new key (RFC 8555 §7.3.5), registering the account first where there is
// none. A rollover that was cut off before is brought to its end instead. Config.Accounts must be AccountKeys. Orders under way
// go on, in every process: one that is refused looks for the new key. Its error is an *Error, or the store's.
//
//  1. The new key is stored as planned.
//  2. The CA is told, by a request that both keys have signed.
//  3. The planned key becomes the account's.
//
// Whoever finds a planned key asks the CA whose it is: where the CA knows it, step 2 was carried out.
func (e *Engine) RollOver(ctx context.Context, ca string) error {
	a, err := e.authority(ca)
	if err != nil {
		return err
	}
	keys, err := a.accountKeys()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.RunTimeout, errSlow)
	defer cancel()
	if err := a.forgetAccount(ctx); err != nil {
		return err
	}
	acct, err := a.registered(ctx, "")
	if err != nil {
		return err
	}
	select {
	case a.accountLock <- struct{}{}:
		defer func() { <-a.accountLock }()
	case <-ctx.Done():
		return a.interrupted(ctx)
	}
	stored, err := a.storedAccount(ctx)
	if err != nil {
		return err
	}
	if !bytes.Equal(stored.SealedKey, acct.sealed) || stored.URL != acct.url {
		a.account = nil // another worker has just given it a new key, or lost it
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
		if now, bad := a.storedAccount(ctx); bad == nil && !bytes.Equal(now.SealedKey, stored.SealedKey) {
			a.account = nil
			return nil // another worker was faster, and went on
		}
		return err
	}
	if err := keys.TakeAccountKey(ctx, a.DirectoryURL, stored.SealedKey, acct.url); err != nil {
		return a.storeError(ctx, err)
	}
	a.account = nil // read again, whoever has taken it
	a.cfg.Logger.InfoContext(ctx, "gave an ACME account a new key", "ca", a.Name, "account", acct.url)
	return nil
}

// forgetAccount has the account read from the store when it is needed next.
func (a *authority) forgetAccount(ctx context.Context) error {
	select {
	case a.accountLock <- struct{}{}:
		a.account = nil
		<-a.accountLock
		return nil
	case <-ctx.Done():
		return a.interrupted(ctx)
	}
}

func (a *authority) accountKeys() (AccountKeys, error) {
	keys, ok := a.cfg.Accounts.(AccountKeys)
	if !ok {
		return nil, internal(a.Name, errors.New("the account store cannot change keys"))
	}
	return keys, nil
}

// plan stores a new key as planned and returns what is planned; nil where the account has another key by now.
func (a *authority) plan(ctx context.Context, keys AccountKeys, stored *controlplane.Account) (crypto.Signer, error) {
	sealed, err := a.newKey()
	if err != nil {
		return nil, err
	}
	planned, err := keys.PlanAccountKey(ctx, a.DirectoryURL, stored.SealedKey, sealed)
	if err != nil {
		return nil, a.storeError(ctx, err)
	}
	if planned == nil {
		return nil, nil
	}
	return a.openPlanned(planned)
}

func (a *authority) openPlanned(sealed []byte) (crypto.Signer, error) {
	key, err := openKey(a.cfg.Sealer, sealed, a.DirectoryURL)
	if err != nil {
		return nil, internal(a.Name, fmt.Errorf("planned account key: %w", err))
	}
	return key, nil
}

// settle brings a rollover that was cut off to its end, if there is one and the CA has heard of it. It reports whether the
// account has a new key by that.
func (a *authority) settle(ctx context.Context, keys AccountKeys, stored *controlplane.Account) (bool, error) {
	planned, err := keys.PlannedAccountKey(ctx, a.DirectoryURL)
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
	if err := keys.TakeAccountKey(ctx, a.DirectoryURL, stored.SealedKey, stored.URL); err != nil {
		return false, a.storeError(ctx, err)
	}
	a.account = nil
	a.cfg.Logger.InfoContext(ctx, "finished giving an ACME account a new key", "ca", a.Name, "account", stored.URL)
	return true, nil
}

// owner returns the URL of the account that has a key, or "" (RFC 8555 §7.3.1).
func (a *authority) owner(ctx context.Context, key crypto.Signer) (string, error) {
	s, err := a.open(ctx, key, "")
	if err != nil {
		return "", err
	}
	var got lego.ExtendedAccount
	err = s.do(func() (err error) {
		got, err = s.core.Accounts.New(lego.Account{OnlyReturnExisting: true})
		return err
	})
	if e, ok := errors.AsType[*Error](err); ok && e.problemType == "accountDoesNotExist" {
		return "", nil
	}
	return got.Location, err
}

// changeKey tells the CA of the new key. A CA that says the account has it already is as good.
func (a *authority) changeKey(ctx context.Context, acct *account, next crypto.Signer) error {
	dir, err := a.directory(ctx)
	if err != nil {
		return err
	}
	if dir.KeyChangeURL == "" {
		return &Error{Class: Rejected, Code: "ca-account", CA: a.Name, Message: a.Name + " lets no account change its key.", Fix: "Nothing: the account keeps its key."}
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
	err = s.do(func() error { return s.post(dir.NewNonceURL, dir.KeyChangeURL, acct, inner) })
	if e, ok := errors.AsType[*Error](err); ok && e.Class != Interrupted {
		if owner, bad := a.owner(ctx, next); bad == nil && owner == acct.url {
			return nil
		}
		e.Over = false // there is no order
	}
	return err
}

// post signs a payload with the account's key and sends it.
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
