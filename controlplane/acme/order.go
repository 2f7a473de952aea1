package acme

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	lego "github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// advance takes the next step that the CA's order status requires, until the order has a
// certificate (RFC 8555 §7.1.6).
func (r *run) advance() (*controlplane.Certificate, error) {
	if r.order.CertificateURL != "" {
		return r.download()
	}
	state, err := r.placeOrFetch()
	for err == nil && r.order.CertificateURL == "" {
		switch state.Status {
		case lego.StatusPending:
			err = r.authorize(&state)
		case lego.StatusReady:
			err = r.finalize(&state)
		case lego.StatusProcessing:
			err = r.awaitOrder(&state, lego.StatusProcessing)
		case lego.StatusValid:
			err = r.issued(&state)
		default:
			err = r.invalidOrder(state)
		}
	}
	if err != nil {
		return nil, err
	}
	return r.download()
}

// placeOrFetch places a new order, or fetches the existing one.
func (r *run) placeOrFetch() (lego.Order, error) {
	if r.order.OrderURL == "" {
		return r.placeOrder()
	}
	return r.fetchOrder()
}

// placeOrder places an order and stores its URL. If the CA rejects the replacement of a certificate
// (already replaced, or unknown to the CA), it places the order without it (RFC 9773 §5).
func (r *run) placeOrder() (lego.Order, error) {
	profile, err := r.profile()
	if err != nil {
		return lego.Order{}, err
	}
	got, err := r.newOrder(profile)
	if e, ok := errors.AsType[*Error](err); ok && r.order.Replaces != "" && refusesReplacement(e) {
		r.engine.cfg.Logger.InfoContext(r.ctx,
			"acme: CA rejected the replaced certificate, ordering without it", "ca", r.order.CA,
			"order", r.order.ID, "error", e)
		r.order.Replaces = ""
		got, err = r.newOrder(profile)
	}
	if err != nil {
		return lego.Order{}, err
	}
	if got.Location == "" {
		return lego.Order{}, unreachable(r.order.CA,
			errors.New("the new-order response has no Location header"))
	}
	r.order.OrderURL = got.Location
	r.order.Profile = cmp.Or(got.Profile, profile)
	r.order.ExpiresAt = parseTime(got.Expires)
	return got.Order, r.save(controlplane.StepOrdered)
}

func (r *run) newOrder(profile string) (got lego.ExtendedOrder, err error) {
	err = r.session.do(atNewOrder, func() (err error) {
		got, err = r.session.core.Orders.NewWithOptions(r.order.Names,
			&api.OrderOptions{Profile: profile, ReplacesCertID: r.order.Replaces})
		return err
	})
	if e, ok := errors.AsType[*Error](err); ok && e.Class == Unreachable && e.Status == 0 {
		r.unconfirmed++
	}
	return got, err
}

// refusesReplacement reports whether the order may succeed if it replaces no certificate: it
// excludes problems that cannot concern the replacement.
func refusesReplacement(e *Error) bool {
	switch e.problemType {
	case "", "accountDoesNotExist", "rateLimited", "badNonce", "caa", "rejectedIdentifier",
		"unsupportedIdentifier", "invalidProfile":
		return e.Status == http.StatusConflict
	}
	return true
}

// profile returns the profile to request, or "" if the CA offers no profiles.
func (r *run) profile() (string, error) {
	dir, err := r.ca.directory(r.ctx)
	if err != nil {
		return "", err
	}
	switch {
	case len(dir.Meta.Profiles) == 0:
		return "", nil
	case r.order.Profile != "":
		return r.order.Profile, nil
	}
	return r.ca.Profile, nil
}

// fetchOrder fetches the order. An order that the CA does not have, or not for this account, is
// gone.
func (r *run) fetchOrder() (lego.Order, error) {
	var got lego.ExtendedOrder
	err := r.session.do(atOrder, func() (err error) {
		got, err = r.session.core.Orders.Get(r.order.OrderURL)
		return err
	})
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return got.Order, err
	case e.Class.Refusal() && e.problemType != "accountDoesNotExist":
		return lego.Order{}, gone(r.order.CA, e)
	}
	return lego.Order{}, e
}

// awaitOrder polls the order until its status is no longer leave.
func (r *run) awaitOrder(state *lego.Order, leave string) error {
	return r.poll(func() (bool, error) {
		got, err := r.fetchOrder()
		if err != nil {
			return false, err
		}
		*state = got
		return got.Status != leave, nil
	})
}

// issued records the certificate's URL. It polls a valid order that has none yet.
func (r *run) issued(state *lego.Order) error {
	if state.Certificate == "" {
		return r.poll(func() (bool, error) {
			got, err := r.fetchOrder()
			if err != nil {
				return false, err
			}
			*state = got
			return got.Status != lego.StatusValid || got.Certificate != "", nil
		})
	}
	r.order.CertificateURL = state.Certificate
	r.reach(controlplane.StepIssued)
	return nil
}

// invalidOrder returns the reason why an order is invalid: the first failed challenge, or the
// order's own error.
func (r *run) invalidOrder(state lego.Order) error {
	own := r.embedded(r.session.wire.body, state.Error)
	for _, url := range state.Authorizations {
		authz, err := r.fetchAuthorization(url)
		if e, ok := errors.AsType[*Error](err); ok && (e.Class == Interrupted ||
			e.Class == RateLimited) {
			return err
		}
		if err == nil && authz.Status == lego.StatusInvalid {
			if e := r.challengeError(authz); e != nil {
				return e
			}
		}
	}
	if own != nil {
		return own
	}
	return gone(r.order.CA, &Error{Class: OrderGone, CA: r.order.CA, Message: "order is " +
		clip(state.Status, 50)})
}

// embedded returns an Error for the problem inside an order, or nil if the order has none. The
// Error ends the order.
func (r *run) embedded(body []byte, p *lego.ProblemDetails) *Error {
	var order struct {
		Error json.RawMessage `json:"error"`
	}
	if p == nil || json.Unmarshal(body, &order) != nil {
		return nil
	}
	return r.final(inOrder, order.Error)
}

// final returns an Error for a problem inside an object, which ended the order.
func (r *run) final(at step, raw json.RawMessage) *Error {
	e := problemError(r.ca.CA, at, raw, 0)
	if e != nil {
		e.Over, e.passing, e.Status = true, false, 0
	}
	return e
}

func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
