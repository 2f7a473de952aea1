package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"

	lego "github.com/go-acme/lego/v4/acme"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// registrar keeps one account at a CA, for all sessions with it.
type registrar struct {
	*authority
	own    AccountConfig
	ref    string // controlplane.AccountURL: it identifies the account in the store
	listed bool   // in the configuration

	// lock guards account and is held while the account is read from the store or registered. It is
	// a channel, so that waiting for it stops when the context is done.
	lock    chan struct{}
	account *account
}

// registrar returns that of the account with the given name, which may be one that is no longer
// configured: its orders and certificates keep it.
func (a *authority) registrar(name string) *registrar {
	name = controlplane.AccountOf(name)
	a.registrarsMu.Lock()
	defer a.registrarsMu.Unlock()
	r := a.registrars[name]
	if r == nil {
		r = a.newRegistrar(AccountConfig{Name: name, Email: a.Email}, false)
		a.registrars[name] = r
	}
	return r
}

func (a *authority) newRegistrar(own AccountConfig, listed bool) *registrar {
	return &registrar{authority: a, own: own, listed: listed,
		ref: controlplane.AccountURL(a.DirectoryURL, own.Name), lock: make(chan struct{}, 1)}
}

// account is a registered account, ready to sign.
type account struct {
	key    crypto.Signer
	sealed []byte // the key as stored
	url    string // the kid
}

// registered returns the account at the CA: from memory, from the store, or by registering one. It
// does not return an account whose URL is forgotten, because the CA has just rejected that URL as
// unknown. It returns an *Error or the store's error.
//
// The sealed key is stored before it is sent to the CA. Two workers therefore register the same
// key, and the CA returns the same account to both (RFC 8555 §7.3.1).
func (a *registrar) registered(ctx context.Context, forgotten string) (*account, error) {
	select {
	case a.lock <- struct{}{}:
		defer func() { <-a.lock }()
	case <-ctx.Done():
		return nil, a.interrupted(ctx)
	}
	if a.account != nil && (forgotten == "" || a.account.url != forgotten) {
		return a.account, nil
	}
	a.account = nil
	stored, err := a.storedAccount(ctx)
	if err != nil {
		return nil, err
	}
	key, err := a.openKey(stored)
	if err != nil {
		return nil, err
	}
	if stored.URL == "" || stored.URL == forgotten {
		if stored.URL != "" {
			if err := a.cfg.Accounts.SetAccountURL(ctx, a.ref, ""); err != nil {
				return nil, a.storeError(ctx, err)
			}
		}
		stored.URL, err = a.register(ctx, key)
		if isAccountRejected(err) && a.isKeyDeactivated(ctx, key) {
			if key, stored, err = a.replaceKey(ctx, stored); err == nil {
				stored.URL, err = a.register(ctx, key)
			}
		}
		if err != nil {
			return nil, err
		}
		if err := a.cfg.Accounts.SetAccountURL(ctx, a.ref, stored.URL); err != nil {
			return nil, a.storeError(ctx, err)
		}
		a.noteRegistered(ctx)
	}
	a.account = &account{key: key, sealed: stored.SealedKey, url: stored.URL}
	return a.account, nil
}

// noteRegistered calls Config.Registered.
func (a *registrar) noteRegistered(ctx context.Context) {
	if a.cfg.Registered == nil {
		return
	}
	if err := a.cfg.Registered(ctx, a.Name, a.own.Name); err != nil {
		a.cfg.Logger.WarnContext(ctx, "acme: recording a registered account failed", "ca", a.Name,
			"account", a.own.Name, "error", err)
	}
}

// storedAccount returns the account in the store. It creates one with a new key if it is missing,
// unless it is not configured.
func (a *registrar) storedAccount(ctx context.Context) (*controlplane.Account, error) {
	stored, err := a.cfg.Accounts.Account(ctx, a.ref)
	if err != nil {
		return nil, a.storeError(ctx, err)
	}
	if stored != nil {
		return stored, nil
	}
	if !a.listed {
		return nil, a.unknownAccount()
	}
	sealed, err := a.newKey()
	if err != nil {
		return nil, err
	}
	now := a.now()
	stored, err = a.cfg.Accounts.CreateAccount(ctx, &controlplane.Account{
		ID: controlplane.NewID(controlplane.PrefixAccount), DirectoryURL: a.ref,
		Email:     a.own.Email,
		SealedKey: sealed, CreatedAt: now, UpdatedAt: now,
	})
	if err != nil {
		return nil, a.storeError(ctx, err)
	}
	return stored, nil
}

// unknownAccount is the Error for an account that is neither configured nor stored. An order that
// names it has not been placed.
func (a *registrar) unknownAccount() *Error {
	return &Error{Class: OrderGone, Code: "ca-account", CA: a.Name, Over: true,
		Message: fmt.Sprintf("The account %q at %s is no longer configured.", a.own.Name, a.Name),
		Fix:     controlplane.FixOf("ca-account")}
}

// newKey returns a new account key, sealed.
func (a *registrar) newKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, internal(a.Name, err)
	}
	sealed, err := sealKey(a.cfg.Sealer, key, a.ref)
	if err != nil {
		return nil, internal(a.Name, err)
	}
	return sealed, nil
}

func (a *registrar) openKey(stored *controlplane.Account) (crypto.Signer, error) {
	key, err := openKey(a.cfg.Sealer, stored.SealedKey, a.ref)
	if err != nil {
		return nil, internal(a.Name, fmt.Errorf("key of account %s: %w", stored.ID, err))
	}
	return key, nil
}

// register registers the key with the CA and returns the account's URL. If the CA knows the key,
// that is the URL of the existing account.
func (a *registrar) register(ctx context.Context, key crypto.Signer) (string, error) {
	dir, err := a.directory(ctx)
	if err != nil {
		return "", err
	}
	if dir.Meta.ExternalAccountRequired && a.own.EABKeyID == "" {
		return "", &Error{Class: BadAccount, Code: "ca-account", CA: a.Name, Over: true,
			step:    atAccount,
			Message: a.Name + " requires an external account binding.",
			Fix:     "Ask the operator to get a key ID and an HMAC key from the CA and to configure them."}
	}
	s, err := a.open(ctx, key, "")
	if err != nil {
		return "", err
	}
	request := lego.Account{TermsOfServiceAgreed: true}
	if a.own.Email != "" {
		request.Contact = []string{"mailto:" + a.own.Email}
	}
	var got lego.ExtendedAccount
	err = s.do(atAccount, func() (err error) {
		if a.own.EABKeyID != "" {
			got, err = s.core.Accounts.NewEAB(request, a.own.EABKeyID, a.own.EABHMAC)
		} else {
			got, err = s.core.Accounts.New(request)
		}
		return err
	})
	if err != nil && (got.Location == "" || s.wire.status/100 != 2) {
		return "", err
	}
	if got.Location == "" {
		return "", malformed(a.Name, errors.New("the new-account response has no Location header"))
	}
	a.cfg.Logger.InfoContext(ctx, "registered an ACME account", "ca", a.Name,
		"name", a.own.Name, "account", got.Location)
	return got.Location, nil
}

// storeError wraps an error of the account store.
func (a *registrar) storeError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return a.interrupted(ctx)
	}
	return internal(a.Name, fmt.Errorf("account store: %w", err))
}
