package acme

import (
	"cmp"
	"context"
	"crypto"
	"net/http"

	"github.com/go-acme/lego/v4/acme/api"
)

// maxNonceRetries is how often a request is signed again after the CA rejected its nonce (RFC 8555
// §6.5). With a CA that rejects one in six, as Pebble may, one request in 60 million exceeds it.
const maxNonceRetries = 9

// session is one ACME client for one run, used by one goroutine. State that sessions share is in
// authority.
type session struct {
	ca      *authority
	account *account
	core    *api.Core
	wire    *wire
}

// open returns a client for the account's key. Without kid it can only register.
func (a *authority) open(ctx context.Context, key crypto.Signer, kid string) (*session, error) {
	if _, err := a.directory(ctx); err != nil {
		return nil, err
	}
	w := &wire{ctx: ctx, ca: a}
	client := &http.Client{Transport: w,
		CheckRedirect: func(*http.Request,
			[]*http.Request) error {
			return http.ErrUseLastResponse
		}}
	core, err := api.New(client, a.cfg.UserAgent, a.DirectoryURL, kid, key)
	if err != nil {
		return nil, a.asError(ctx, err)
	}
	return &session{ca: a, core: core, wire: w}, nil
}

// do sends one request of the given step through lego, and repeats it with a new nonce if the CA
// rejects the nonce. It returns an *Error.
//
// The response to a rejected nonce contains a new one, so the first repeat is immediate. If that is
// rejected too, repeats wait with a doubling interval, and every second one fetches a nonce, in
// case those of rejections are invalid. If the CA rejects all of them, the error is not transient:
// resuming would only repeat the same requests.
func (s *session) do(at step, request func() error) error {
	s.wire.step = at
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
			if retry%2 == 1 {
				s.ca.nonces.clear()
			}
			pause := s.ca.cfg.Poll.First << (retry - 1)
			if s.ca.cfg.Sleep(s.wire.ctx, pause) != nil {
				return s.ca.interrupted(s.wire.ctx)
			}
		}
	}
}

// change is do for a request that may change state at the CA. If the context of the run ends while
// the request is in flight, the request is finished.
func (s *session) change(at step, request func() error) error {
	s.wire.finish = true
	defer func() { s.wire.finish = false }()
	return s.do(at, request)
}
