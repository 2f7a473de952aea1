package acme

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	lego "github.com/go-acme/lego/v4/acme"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// pending is an authorization that is not valid yet.
type pending struct {
	url       string
	challenge lego.Challenge
	txt       controlplane.TXT
}

// manyAuthorizations is the number of pending authorizations from which the order is polled first:
// its status shows the state of all of them.
const manyAuthorizations = 3

// authorize proves control for each pending authorization by DNS-01 (RFC 8555 §8.4) and sets the
// order's status, ready if none failed. Apex and wildcard have separate authorizations, with two
// values at one target.
func (r *run) authorize(state *lego.Order) error {
	open, err := r.pendingAuthorizations(state.Authorizations)
	if err != nil {
		return err
	}
	if len(open) > 0 {
		if err := r.prove(state, open); err != nil {
			return err
		}
	}
	if state.Status == lego.StatusPending {
		state.Status = lego.StatusReady // finalize detects that the CA has not updated it yet
	}
	return nil
}

func (r *run) prove(state *lego.Order, open []pending) error {
	unaccepted := slices.DeleteFunc(slices.Clone(open),
		func(p pending) bool { return p.challenge.Status != lego.StatusPending })
	if len(unaccepted) > 0 || !r.published {
		// The CA may query the values for as long as it validates: each run publishes them.
		if err := r.publish(open); err != nil {
			return err
		}
	}
	for _, p := range unaccepted {
		if err := r.accept(p); err != nil {
			return err
		}
	}
	r.reach(controlplane.StepAccepted)
	return r.awaitAuthorizations(state, open)
}

// publish stores the TXT values and has them served.
func (r *run) publish(open []pending) error {
	values := make([]controlplane.TXT, 0, len(open))
	for _, p := range open {
		if !slices.Contains(values, p.txt) {
			values = append(values, p.txt)
		}
	}
	r.order.Values = values
	r.reach(controlplane.StepAuthorized)
	r.order.UpdatedAt = r.engine.cfg.Now()
	if err := r.journal.Publish(r.ctx, r.order); err != nil {
		return r.journalError("publish", err)
	}
	r.unsaved, r.published = false, true
	r.reach(controlplane.StepPublished)
	return nil
}

// pendingAuthorizations fetches the authorizations and returns those that are still pending.
func (r *run) pendingAuthorizations(urls []string) ([]pending, error) {
	var open []pending
	for i, url := range urls {
		authz, err := r.fetchAuthorization(url)
		if err != nil {
			return nil, err
		}
		switch authz.Status {
		case lego.StatusValid:
		case lego.StatusPending:
			p, err := r.dnsChallenge(url, authz)
			if err == nil && p.challenge.Status == lego.StatusInvalid {
				err = r.failedAuthorization(url, authz, urls[i+1:])
			}
			if err != nil {
				return nil, err
			}
			open = append(open, p)
		default:
			return nil, r.failedAuthorization(url, authz, urls[i+1:])
		}
	}
	return open, nil
}

func (r *run) fetchAuthorization(url string) (authz lego.Authorization, err error) {
	err = r.read(atAuthorization, func() (err error) {
		if authz, err = r.session.core.Authorizations.Get(url); err != nil {
			return err
		}
		err = checkAuthorization(r.session.wire.url, &authz, r.order.Names)
		if err != nil {
			return malformed(r.order.CA, err)
		}
		return nil
	})
	return authz, err
}

// dnsChallenge selects the DNS-01 challenge and computes its TXT value: base64url(SHA-256(key
// authorization)).
func (r *run) dnsChallenge(url string, authz lego.Authorization) (pending, error) {
	i := slices.IndexFunc(authz.Challenges,
		func(c lego.Challenge) bool { return c.Type == "dns-01" })
	if i < 0 {
		return pending{}, &Error{Class: Policy, Code: "ca-no-dns-01", CA: r.order.CA, Over: true,
			Message: fmt.Sprintf("%s offers no DNS-01 challenge for %s.", r.order.CA,
				clip(authz.Identifier.Value, 253)),
			Fix: controlplane.FixOf("ca-no-dns-01")}
	}
	challenge := authz.Challenges[i]
	keyAuthorization, err := r.session.core.GetKeyAuthorization(challenge.Token)
	if err != nil {
		return pending{}, internal(r.order.CA, err)
	}
	sum := sha256.Sum256([]byte(keyAuthorization))
	return pending{url: url, challenge: challenge, txt: controlplane.TXT{
		Target: r.order.TargetOf(authz.Identifier.Value),
		Value:  base64.RawURLEncoding.EncodeToString(sum[:])}}, nil
}

// accept requests validation from the CA. A rejection is returned only if the challenge is still
// pending: a previous worker's request may have reached the CA, and the validation may finish at
// any moment. Status 409 means that the CA validates already, even if the challenge is pending.
func (r *run) accept(p pending) error {
	r.acted()
	err := r.repeat(func() error {
		return r.session.change(atChallenge, func() error {
			_, err := r.session.core.Challenges.New(p.challenge.URL)
			return err
		})
	}, func(e *Error) bool {
		return isMissing(e) || !isRefused(e) && !r.isProtocol(e)
	})
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok || e.restart:
		return err
	case r.isProtocol(e), e.Status == http.StatusConflict:
		return nil
	case !isRefused(e) || e.problemType == "accountDoesNotExist":
		return err
	}
	for range 2 {
		if open, again := r.isPending(p); again != nil || !open {
			return again
		}
		if again := r.pause(confirmPause); again != nil {
			return again
		}
	}
	return err
}

// isPending reports whether the CA has not started to validate the authorization.
func (r *run) isPending(p pending) (bool, error) {
	authz, err := r.fetchAuthorization(p.url)
	return err == nil && authz.Status == lego.StatusPending &&
		slices.ContainsFunc(authz.Challenges, func(c lego.Challenge) bool {
			return c.URL == p.challenge.URL && c.Status == lego.StatusPending
		}), err
}

// awaitAuthorizations polls until all authorizations are valid or one is invalid. If the order
// shows it first, it sets the order's status. Each poll waits for another pending authorization, so
// that one that lags does not hide one that failed.
func (r *run) awaitAuthorizations(state *lego.Order, open []pending) error {
	urls := make([]string, len(open))
	for i, p := range open {
		urls[i] = p.url
	}
	return r.poll(func() (bool, error) {
		if len(urls) >= manyAuthorizations {
			got, err := r.fetchOrder()
			if err != nil {
				return false, err
			}
			if *state = got; got.Status != lego.StatusPending {
				return true, nil
			}
		}
		for len(urls) > 0 {
			url, rest := urls[0], urls[1:]
			authz, err := r.fetchAuthorization(url)
			switch {
			case err != nil:
				return false, err
			case authz.Status == lego.StatusPending && !hasFailed(authz):
				urls = append(slices.Clone(rest), url)
				return false, nil
			case authz.Status != lego.StatusValid:
				return false, r.failedAuthorization(url, authz, rest)
			}
			urls = rest
		}
		return true, nil
	})
}

// hasFailed reports whether the DNS-01 challenge of an authorization is invalid. The CA does not
// validate it again, even if the authorization is still pending.
func hasFailed(authz lego.Authorization) bool {
	return slices.ContainsFunc(authz.Challenges, func(c lego.Challenge) bool {
		return c.Type == "dns-01" && c.Status == lego.StatusInvalid
	})
}

// failedAuthorization returns the reason why an authorization cannot become valid. Call it right
// after the request that fetched the authorization. Unless the authorization is invalid and the CA
// states the reason, it reads the authorization again, in case a replica of the CA was wrong. Those
// of rest that failed, too, are named with it.
func (r *run) failedAuthorization(url string, authz lego.Authorization, rest []string) error {
	if authz.Status != lego.StatusInvalid || r.challengeError(authz) == nil {
		if err := r.pause(confirmPause); err != nil {
			return err
		}
		var err error
		if authz, err = r.fetchAuthorization(url); err != nil {
			return err
		}
		if authz.Status == lego.StatusValid ||
			authz.Status == lego.StatusPending && !hasFailed(authz) {
			return r.disagreement()
		}
	}
	if e := r.challengeError(authz); e != nil {
		e.Identifiers = append(e.Identifiers, r.failedOf(rest)...)
		return e
	}
	return gone(r.order.CA, &Error{Class: OrderGone, CA: r.order.CA, Message: "authorization is " +
		clip(authz.Status, 50)})
}

// failedOf returns the identifiers of the authorizations that have failed. It reads each once, and
// skips those that it cannot read.
func (r *run) failedOf(urls []string) (identifiers []string) {
	for _, url := range urls {
		var authz lego.Authorization
		err := r.session.do(atAuthorization, func() (err error) {
			authz, err = r.session.core.Authorizations.Get(url)
			return err
		})
		if e, ok := errors.AsType[*Error](err); ok && !isFailedRead(e) {
			return identifiers
		}
		if err == nil && (authz.Status == lego.StatusInvalid || hasFailed(authz)) {
			identifiers = append(identifiers, authz.Identifier.Value)
		}
	}
	return identifiers
}

// challengeError returns an Error for the failed challenge, or nil if no challenge has an error.
// Call it right after the request that fetched the authorization.
func (r *run) challengeError(authz lego.Authorization) *Error {
	if !slices.ContainsFunc(authz.Challenges,
		func(c lego.Challenge) bool { return c.Error != nil }) {
		return nil
	}
	var raw struct {
		Challenges []struct {
			Error json.RawMessage `json:"error"`
		} `json:"challenges"`
	}
	if json.Unmarshal(r.session.wire.body, &raw) != nil {
		return nil
	}
	for _, c := range raw.Challenges {
		if e := r.final(inChallenge, c.Error); e != nil {
			e.Identifiers = []string{authz.Identifier.Value}
			return e
		}
	}
	return nil
}
