package acme

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	lego "github.com/go-acme/lego/v4/acme"
)

// Revoke asks the CA of that name to revoke a certificate that our account ordered (RFC 8555 §7.6), for a reason code of
// RFC 5280 §5.3.1: 0 to 10 without 7. One that is revoked already is no error. Its error is an *Error.
func (e *Engine) Revoke(ctx context.Context, certDER []byte, ca string, reason int) error {
	a, err := e.authority(ca)
	if err != nil {
		return err
	}
	if reason < 0 || reason > 10 || reason == 7 {
		return internal(ca, fmt.Errorf("%d is no reason code of RFC 5280", reason))
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
		case !ok || !again || !isDoubtful(refused):
			return err
		}
		if mended, bad := a.mend(ctx, acct, refused); bad != nil || !mended {
			return err
		}
	}
}

// revoke makes the request. Its error is an *Error.
func (a *authority) revoke(ctx context.Context, acct *account, certDER []byte, reason uint) error {
	s, err := a.open(ctx, acct.key, acct.url)
	if err != nil {
		return err
	}
	return s.do(func() error {
		return s.core.Certificates.Revoke(lego.RevokeCertMessage{Certificate: base64.RawURLEncoding.EncodeToString(certDER), Reason: &reason})
	})
}
