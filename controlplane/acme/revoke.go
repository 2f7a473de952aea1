package acme

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	lego "github.com/go-acme/lego/v4/acme"
)

// Revoke asks the CA with the given name to revoke a certificate that the account ordered (RFC 8555
// §7.6). reason is a code of RFC 5280 §5.3.1: 0 to 10 except 7. Revoking a revoked certificate
// is not an error. It returns an *Error.
func (e *Engine) Revoke(
	ctx context.Context, certDER []byte, ca, account string, reason int,
) error {
	at, err := e.authority(ca)
	if err != nil {
		return err
	}
	a := at.registrar(account)
	if reason < 0 || reason > 10 || reason == 7 {
		return internal(ca, fmt.Errorf("invalid revocation reason %d: must be 0 to 10 except 7",
			reason))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.RunTimeout, errSlow)
	defer cancel()
	for again := true; ; again = false {
		acct, err := a.registered(ctx, "")
		if err != nil {
			return err
		}
		err = a.revoke(ctx, acct, certDER, uint(reason))
		refused, ok := errors.AsType[*Error](err)
		switch {
		case ok && refused.problemType == "alreadyRevoked":
			return nil
		case ok && again && refused.problemType == "accountDoesNotExist":
			if _, err := a.registered(ctx, acct.url); err != nil {
				return err
			}
			continue
		case !ok || !again || !maybeBadKey(refused):
			return err
		}
		if repaired, bad := a.repair(ctx, acct, refused); bad != nil || !repaired {
			return err
		}
	}
}

// revoke sends the request. It returns an *Error.
func (a *authority) revoke(ctx context.Context, acct *account, certDER []byte, reason uint) error {
	s, err := a.open(ctx, acct.key, acct.url)
	if err != nil {
		return err
	}
	return s.do(atRevocation, func() error {
		return s.core.Certificates.Revoke(
			lego.RevokeCertMessage{Certificate: base64.RawURLEncoding.EncodeToString(certDER),
				Reason: &reason})
	})
}
