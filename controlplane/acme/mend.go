package acme

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"net/http"
	"slices"

	lego "github.com/go-acme/lego/v4/acme"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// isDoubtful reports whether a refusal may be for want of a good account key: a signature that does not fit is "malformed" or
// "unauthorized" at most CAs, and so is much else.
func isDoubtful(e *Error) bool {
	return e.Class == Rejected && slices.Contains([]int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}, e.Status) &&
		slices.Contains([]string{"malformed", "unauthorized"}, e.problemType) ||
		e.Class == OrderGone && e.Err != nil && isDoubtfulCause(e.Err)
}

// isDoubtfulCause looks behind an order that is gone: a CA does not show it to a key that it does not know.
func isDoubtfulCause(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Class == Rejected && isDoubtful(e)
}

// isDead reports whether a CA refuses an account itself (RFC 8555 §7.3.6).
func isDead(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Class == Rejected && e.problemType == "unauthorized" && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
}

// mend looks after the account that a refused request was signed for, and reports whether another attempt makes sense: because
// it has got a new key meanwhile, because a rollover that was cut off could be brought to its end, or because the CA has
// deactivated it and another takes its place. Its error is an *Error, or the store's.
func (a *authority) mend(ctx context.Context, used *account, refused *Error) (bool, error) {
	select {
	case a.accountLock <- struct{}{}:
		defer func() { <-a.accountLock }()
	case <-ctx.Done():
		return false, a.interrupted(ctx)
	}
	if a.account != used {
		return true, nil // somebody else has looked after it
	}
	stored, err := a.cfg.Accounts.Account(ctx, a.DirectoryURL)
	if err != nil {
		return false, a.storeError(ctx, err)
	}
	if stored == nil || stored.URL != used.url || !bytes.Equal(stored.SealedKey, used.sealed) {
		a.account = nil
		return true, nil
	}
	keys, err := a.accountKeys()
	if err != nil {
		return false, nil // nothing can be done for it
	}
	if done, err := a.settle(ctx, keys, stored); err != nil || done {
		return done, err
	}
	if !isDead(refused) && !isDeadCause(refused) {
		return false, nil
	}
	dead, err := a.deactivated(ctx, used)
	if err != nil || !dead {
		return false, err
	}
	_, _, err = a.replaceKey(ctx, stored)
	return err == nil, err
}

func isDeadCause(e *Error) bool { return e.Class == OrderGone && isDead(e.Err) }

// deactivated asks the CA whether it has ended the account.
func (a *authority) deactivated(ctx context.Context, acct *account) (bool, error) {
	s, err := a.open(ctx, acct.key, acct.url)
	if err != nil {
		return false, err
	}
	var got lego.Account
	err = s.do(func() (err error) {
		got, err = s.core.Accounts.Get(acct.url)
		return err
	})
	if isDead(err) {
		return true, nil
	}
	return err == nil && (got.Status == lego.StatusDeactivated || got.Status == "revoked"), err
}

// isSpent reports whether the key is that of an account which the CA has ended, and another key can take its place. The same
// refusal may be about the external account binding.
func (a *authority) isSpent(ctx context.Context, key crypto.Signer) bool {
	if _, err := a.accountKeys(); err != nil {
		return false
	}
	_, err := a.owner(ctx, key)
	return isDead(err)
}

// replaceKey gives the account in the store a new key and no URL, so that it is registered as a new one. A CA takes the key of
// an account that it has ended for no other.
func (a *authority) replaceKey(ctx context.Context, stored *controlplane.Account) (crypto.Signer, *controlplane.Account, error) {
	keys, err := a.accountKeys()
	if err != nil {
		return nil, stored, err
	}
	a.cfg.Logger.WarnContext(ctx, "the CA has deactivated our ACME account; another takes its place", "ca", a.Name, "account", stored.URL)
	if _, err := a.plan(ctx, keys, stored); err != nil {
		return nil, stored, err
	}
	if err := keys.TakeAccountKey(ctx, a.DirectoryURL, stored.SealedKey, ""); err != nil {
		return nil, stored, a.storeError(ctx, err)
	}
	a.account = nil
	if stored, err = a.storedAccount(ctx); err != nil {
		return nil, stored, err
	}
	key, err := a.openKey(stored)
	return key, stored, err
}
