package acme

import (
	"errors"
	"net/http"
	"time"
)

const (
	// readPause is the pause after the first failed read of an order. It grows by four, up to
	// maxPause.
	readPause = 150 * time.Millisecond
	// readPatience is how long reads that fail are repeated before an order is abandoned: replicas
	// of a CA can lag, and the CSR may have been accepted.
	readPatience = 30 * time.Second
	// outagePatience is how long they are repeated if the CA is unreachable and another CA can
	// still take over.
	outagePatience = 3 * time.Second
	// confirmPause is the pause before a state that ends an order is read again.
	confirmPause = time.Second
)

// read repeats a request that changes nothing until its response is usable, with growing pauses. It
// returns an *Error that is not worth repeating in this run.
func (r *run) read(at step, get func() error) error {
	return r.repeat(func() error { return r.session.do(at, get) },
		func(*Error) bool { return true })
}

// repeat calls request until it succeeds, the patience for its error is exhausted, or again returns
// false for its error.
func (r *run) repeat(request func() error, again func(*Error) bool) error {
	start, pause := r.engine.cfg.Now(), readPause
	var last *Error
	for {
		err := request()
		e, ok := errors.AsType[*Error](err)
		switch {
		case ok && last != nil && errors.Is(e, errManyRequests) && !r.mayBeLost(last):
			return r.unread(last)
		case !ok || !isFailedRead(e) || !again(e):
			return err
		}
		last = e
		if r.repair(e) {
			restart := *e
			restart.Over, restart.restart = false, true
			return &restart
		}
		if r.engine.cfg.Now().Sub(start) >= r.patience(e) {
			return r.unread(e)
		}
		wait := pause
		if !e.Class.Refusal() {
			wait = max(wait, e.RetryAfter)
		}
		if wait > maxPause || wait > r.remaining() {
			return r.unread(e)
		}
		if err := r.pause(wait); err != nil {
			return err
		}
		pause = min(4*pause, maxPause)
	}
}

// isFailedRead reports whether repeating the request may give another result. The other errors
// concern the run or the account.
func isFailedRead(e *Error) bool {
	switch e.Class {
	case Interrupted, Slow, Internal:
		return false
	}
	return e.problemType != "accountDoesNotExist"
}

// patience returns how long a failed read is repeated.
func (r *run) patience(e *Error) time.Duration {
	switch {
	case r.forgotten != "" && isRefused(e):
		return 0 // the order belongs to an account that the CA no longer has
	case e.Class == Unreachable && e.Code != "ca-protocol" && !r.committed():
		return outagePatience
	}
	return readPatience
}

// isRefused reports whether the CA understood a request and does not serve it.
func isRefused(e *Error) bool { return e.Class.Refusal() || e.Class == CAAForbids }

// committed reports whether the CSR may have been sent: the CA may issue the certificate, even if
// reads of the order fail.
func (r *run) committed() bool { return isCommitted(r.order) }

// mayBeLost reports whether the order is lost if e is the result of reading it for too long.
func (r *run) mayBeLost(e *Error) bool {
	return isRefused(e) && (!r.committed() || r.forgotten != "")
}

// unread returns the Error of a read that failed for too long. It ends an order that the CA does
// not show, unless the certificate can still arrive.
func (r *run) unread(e *Error) error {
	if r.mayBeLost(e) || r.committed() && r.expired() {
		return gone(r.order.CA, e)
	}
	if isRefused(e) {
		hidden := protocol(r.order.CA, "does not show an order that it has accepted", e)
		hidden.Problem, hidden.Status = e.Problem, e.Status
		return hidden
	}
	final := *e
	final.Over, final.passing = false, false
	return &final
}

// maxRepairs is how often a run starts over with another key of its account.
const maxRepairs = 3

// repair repairs the account if the CA may have rejected its key, and reports whether the run has
// to start over with another key. It does so until a check finds the key in order.
func (r *run) repair(e *Error) bool {
	if !maybeBadKey(e) || r.repairs >= maxRepairs || r.session == nil || r.session.account == nil {
		return false
	}
	repaired, err := r.registrar.repair(r.ctx, r.session.account, e)
	if err != nil || !repaired {
		r.repairs = maxRepairs
		return false
	}
	r.repairs++
	r.session = nil
	return true
}

// disagreement is the Error of an attempt whose reads contradict each other: the next attempt reads
// everything again.
func (r *run) disagreement() *Error {
	e := r.ca.slow(0)
	e.restart = true
	return e
}

// isMissing reports whether the CA does not know the requested resource.
func isMissing(e *Error) bool {
	return e.Status == http.StatusNotFound || e.Status == http.StatusGone
}
