package acme

import (
	"context"
	"crypto"
	"errors"
	"net/http"
	"slices"

	lego "github.com/go-acme/lego/v4/acme"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// maybeBadKey reports whether a rejection may be caused by the account's key. Most CAs report an
// invalid signature as "malformed" or "unauthorized", as they do for many other errors.
func maybeBadKey(e *Error) bool {
	return e.Class.Refusal() && slices.Contains([]int{http.StatusBadRequest,
		http.StatusUnauthorized, http.StatusForbidden}, e.Status) &&
		slices.Contains([]string{"malformed", "unauthorized"}, e.problemType) ||
		e.Class == OrderGone && e.Err != nil && hasMaybeBadKey(e.Err)
}

// hasMaybeBadKey checks the cause of a missing order: a CA does not show an order to an unknown
// key.
func hasMaybeBadKey(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Class.Refusal() && maybeBadKey(e)
}

// isAccountRejected reports whether the CA rejected the account itself (RFC 8555 §7.3.6).
func isAccountRejected(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Class.Refusal() && e.problemType == "unauthorized" &&
		(e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
}

// repair checks and repairs the account of a rejected request, and reports whether to retry. A
// retry makes sense if the account has a new key, if an interrupted rollover could be finished, or
// if the CA has deactivated the account and a new one replaces it. It returns an *Error or the
// store's error.
func (a *registrar) repair(ctx context.Context, used *account, refused *Error) (bool, error) {
	select {
	case a.lock <- struct{}{}:
		defer func() { <-a.lock }()
	case <-ctx.Done():
		return false, a.interrupted(ctx)
	}
	if a.account != used {
		return true, nil // another goroutine has repaired it
	}
	stored, err := a.cfg.Accounts.Account(ctx, a.ref)
	if err != nil {
		return false, a.storeError(ctx, err)
	}
	if stored == nil || stored.URL != used.url || !a.isSameKey(stored.SealedKey, used.sealed) {
		a.account = nil
		return true, nil
	}
	keys, err := a.accountKeys()
	if err != nil {
		return false, nil // the store cannot change keys
	}
	if done, err := a.settle(ctx, keys, stored); err != nil || done {
		return done, err
	}
	if !isAccountRejected(refused) && !hasAccountRejected(refused) {
		return false, nil
	}
	dead, err := a.deactivated(ctx, used)
	if err != nil || !dead {
		return false, err
	}
	_, _, err = a.replaceKey(ctx, stored)
	return err == nil, err
}

func hasAccountRejected(e *Error) bool { return e.Class == OrderGone && isAccountRejected(e.Err) }

// deactivated reports whether the CA has deactivated the account.
func (a *registrar) deactivated(ctx context.Context, acct *account) (bool, error) {
	s, err := a.open(ctx, acct.key, acct.url)
	if err != nil {
		return false, err
	}
	var got lego.Account
	err = s.do(atAccount, func() (err error) {
		got, err = s.core.Accounts.Get(acct.url)
		return err
	})
	if isAccountRejected(err) {
		return true, nil
	}
	return err == nil && (got.Status == lego.StatusDeactivated || got.Status == "revoked"), err
}

// isKeyDeactivated reports whether the key belongs to an account that the CA has deactivated and
// that can get a new key. The CA sends the same error for an invalid external account binding.
func (a *registrar) isKeyDeactivated(ctx context.Context, key crypto.Signer) bool {
	if _, err := a.accountKeys(); err != nil {
		return false
	}
	_, err := a.owner(ctx, key)
	return isAccountRejected(err)
}

// replaceKey gives the stored account a new key and clears its URL, so that it is registered as a
// new account. A CA does not accept the key of a deactivated account for another one.
func (a *registrar) replaceKey(
	ctx context.Context, stored *controlplane.Account,
) (crypto.Signer, *controlplane.Account, error) {
	keys, err := a.accountKeys()
	if err != nil {
		return nil, stored, err
	}
	a.cfg.Logger.WarnContext(ctx, "acme: replacing an account that the CA deactivated",
		"ca", a.Name, "account", stored.URL)
	if _, err := a.plan(ctx, keys, stored); err != nil {
		return nil, stored, err
	}
	if err := a.take(ctx, keys, stored, ""); err != nil {
		return nil, stored, err
	}
	a.account = nil
	if stored, err = a.storedAccount(ctx); err != nil {
		return nil, stored, err
	}
	key, err := a.openKey(stored)
	return key, stored, err
}
