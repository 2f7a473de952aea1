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
			err = r.confirmInvalid(&state)
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
	if err != nil && r.order.OrderURL == "" {
		return lego.Order{}, err
	}
	if r.order.Profile = cmp.Or(got.Profile, profile); err == nil {
		r.see(got)
	}
	if failed := r.save(controlplane.StepOrdered); failed != nil || err == nil {
		return got, failed
	}
	return r.fetchOrder() // the response was unusable, except for the order's URL
}

// newOrder places an order and sets its URL. It can fail although it sets the URL.
func (r *run) newOrder(profile string) (state lego.Order, err error) {
	r.acted()
	err = r.session.change(atNewOrder, func() error {
		got, err := r.session.core.Orders.NewWithOptions(r.order.Names,
			&api.OrderOptions{Profile: profile, ReplacesCertID: r.order.Replaces})
		state = got.Order
		return r.checked(&state, err)
	})
	e, ok := errors.AsType[*Error](err)
	if wire := r.session.wire; err == nil || ok && r.isProtocol(e) {
		if r.order.OrderURL = wire.header.Get("Location"); r.order.OrderURL == "" {
			err = malformed(r.order.CA, errors.New("the new-order response has no Location header"))
		}
		return state, err
	}
	if ok && e.Class == Unreachable && e.Status == 0 {
		r.unconfirmed++
	}
	return state, err
}

// checked returns err, or an *Error if the order in the last response is unusable.
func (r *run) checked(state *lego.Order, err error) error {
	if err != nil {
		return err
	}
	if err := checkOrder(r.session.wire.url, state, r.order.Names); err != nil {
		return malformed(r.order.CA, err)
	}
	return nil
}

// see notes an order from the last response.
func (r *run) see(state lego.Order) {
	r.body = r.session.wire.body
	r.meter.limit = max(r.meter.limit, limitOf(len(state.Authorizations)))
	if at := parseTime(state.Expires); at.After(r.engine.cfg.Now()) {
		r.order.ExpiresAt = at // a new order that has expired is an error of the CA's clock
	}
}

// orderLife is how long an order is expected to live if the CA does not say so.
const orderLife = 7 * 24 * time.Hour

// expired reports whether the order has expired.
func (r *run) expired() bool {
	end := r.order.ExpiresAt
	if end.IsZero() {
		end = r.order.CreatedAt.Add(orderLife)
	}
	return !r.order.CreatedAt.IsZero() && r.engine.cfg.Now().After(end.Add(clockSkew))
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

// fetchOrder fetches the order.
func (r *run) fetchOrder() (state lego.Order, err error) {
	err = r.read(atOrder, func() error {
		got, err := r.session.core.Orders.Get(r.order.OrderURL)
		state = got.Order
		return r.checked(&state, err)
	})
	if err == nil {
		r.see(state)
	}
	return state, err
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

// confirmInvalid reads an invalid order again, in case a replica of the CA was wrong. Then it
// returns the reason why the order is invalid.
func (r *run) confirmInvalid(state *lego.Order) error {
	if r.confirmed {
		return r.invalidOrder(*state)
	}
	r.confirmed = true
	if err := r.pause(confirmPause); err != nil {
		return err
	}
	got, err := r.fetchOrder()
	*state = got
	return err
}

// invalidOrder returns the reason why an order is invalid: the first failed challenge, or the
// order's own error.
func (r *run) invalidOrder(state lego.Order) error {
	body, at := r.body, inOrder
	for i, url := range state.Authorizations {
		var authz lego.Authorization
		err := r.session.do(atAuthorization, func() (err error) {
			authz, err = r.session.core.Authorizations.Get(url)
			return err
		})
		if e, ok := errors.AsType[*Error](err); ok && (e.Class == Interrupted ||
			e.Class == RateLimited || e.Class == Slow) {
			return err
		}
		if err == nil && authz.Status == lego.StatusInvalid {
			at = inChallenge // some CAs state the challenge's error only in the order
			if e := r.challengeError(authz); e != nil {
				e.Identifiers = append(e.Identifiers, r.failedOf(state.Authorizations[i+1:])...)
				return e
			}
		}
	}
	if own := r.embedded(at, body, state.Error); own != nil {
		return own
	}
	return gone(r.order.CA, &Error{Class: OrderGone, CA: r.order.CA, Message: "order is " +
		clip(state.Status, 50)})
}

// embedded returns an Error for the problem inside an order, or nil if the order has none. The
// Error ends the order.
func (r *run) embedded(at step, body []byte, p *lego.ProblemDetails) *Error {
	var order struct {
		Error json.RawMessage `json:"error"`
	}
	if p == nil || json.Unmarshal(body, &order) != nil {
		return nil
	}
	return r.final(at, order.Error)
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
