package acme

import (
	"context"
	"errors"
	"time"

	lego "github.com/go-acme/lego/v4/acme"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Collect looks at an order that was set aside, and returns its certificate if the CA has issued
// it, checked as by Run. It does not publish, accept, or finalize, and records nothing: the caller
// stores o.
//
// It returns an *Error. Class Slow means that the order is still open: Collect is called again at
// RetryAt. Over means that the order is invalid, expired, or gone.
func (e *Engine) Collect(
	ctx context.Context, o *controlplane.Order,
) (*controlplane.Certificate, error) {
	return e.run(ctx, o, nil, (*run).collect)
}

// The shortest and the longest time between two looks at an order that was set aside.
const (
	minCollect = time.Minute
	maxCollect = time.Hour
)

func (r *run) collect() (*controlplane.Certificate, error) {
	if r.order.CertificateURL != "" {
		return r.download()
	}
	if r.order.OrderURL == "" {
		return nil, r.ended("was never placed")
	}
	state, err := r.fetchOrder()
	for err == nil && state.Status == lego.StatusInvalid {
		err = r.confirmInvalid(&state)
	}
	switch {
	case err != nil:
		return nil, err
	case state.Status == lego.StatusValid && state.Certificate != "":
		if err := r.issued(&state); err != nil {
			return nil, err
		}
		return r.download()
	case r.expired():
		return nil, r.ended("has expired")
	}
	wait := min(max(r.engine.cfg.Now().Sub(r.order.CreatedAt)/4, minCollect), maxCollect)
	slow := r.ca.slow(wait)
	slow.RetryAfter, slow.RetryAt = wait, r.engine.cfg.Now().Add(wait)
	return nil, slow
}

// ended returns the Error for an order that gives no certificate.
func (r *run) ended(why string) *Error {
	return gone(r.order.CA, &Error{Class: OrderGone, CA: r.order.CA, Code: "order-expired",
		Message: "the order " + why, Err: errors.New("the order " + why)})
}
