package acme

import (
	"cmp"
	"context"
	"crypto"
	"net/http"

	"github.com/go-acme/lego/v4/acme/api"
)

// maxNonceRetries is how often a request is signed anew because its nonce was refused (RFC 8555 §6.5). A CA that refuses one in
// six, as Pebble may, gets past it once in a hundred million requests.
const maxNonceRetries = 9

// session is one ACME client, for one run, used by one goroutine. What is worth sharing is in its authority.
type session struct {
	ca      *authority
	account *account
	core    *api.Core
	wire    *wire
}

// open makes a client for the account's key. An account without URL can only register.
func (a *authority) open(ctx context.Context, key crypto.Signer, kid string) (*session, error) {
	if _, err := a.directory(ctx); err != nil {
		return nil, err
	}
	w := &wire{ctx: ctx, ca: a}
	client := &http.Client{Transport: w, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	core, err := api.New(client, a.cfg.UserAgent, a.DirectoryURL, kid, key)
	if err != nil {
		return nil, a.asError(ctx, err)
	}
	return &session{ca: a, core: core, wire: w}, nil
}

// do makes one request through lego, again with a new nonce where the CA refuses the nonce. Its error is an *Error.
//
// The answer to a refused nonce brings a good one, so the first repeat is immediate; when that is refused too, all nonces
// that were kept are given up, and repeats wait, each twice as long as the one before. A CA that refuses them all is left to
// the caller: resuming would only ask it ten times more.
func (s *session) do(request func() error) error {
	for retry := 0; ; retry++ {
		s.wire.err = nil
		err := request()
		if err == nil {
			return nil
		}
		e := s.ca.asError(s.wire.ctx, cmp.Or(s.wire.err, err))
		if e.problemType != "badNonce" {
			return e
		}
		if retry == maxNonceRetries {
			e.passing = false
			return e
		}
		if retry > 0 {
			s.ca.nonces.clear()
			if sleep(s.wire.ctx, s.ca.cfg.Poll.First<<(retry-1)) != nil {
				return s.ca.interrupted(s.wire.ctx)
			}
		}
	}
}
