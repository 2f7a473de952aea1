package acme

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	lego "github.com/go-acme/lego/v4/acme"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// protocol returns the Error for a response that RFC 8555 does not allow. It is the CA's fault: the
// request is repeated, or another CA is used. what completes the message "The CA …" for users.
func protocol(ca, what string, err error) *Error {
	return &Error{Class: Unreachable, Code: "ca-protocol", CA: ca, Err: err,
		Message: ca + " " + what + ".", Fix: controlplane.FixOf("ca-protocol")}
}

// malformed is protocol for a response that could not be read.
func malformed(ca string, err error) *Error {
	return protocol(ca, "sent a response that the ACME protocol does not allow", err)
}

// isProtocol reports whether a response violated the protocol, and had a status of success.
func (r *run) isProtocol(e *Error) bool {
	return e.Code == "ca-protocol" && e.Status == 0 && r.session.wire.status/100 == 2
}

// absolute resolves a reference in a response to base, and returns an error unless the result is an
// https URL.
func absolute(base *url.URL, ref string) (string, error) {
	u, err := url.Parse(ref)
	if err != nil || base == nil {
		return "", errors.New("malformed URL")
	}
	if u = base.ResolveReference(u); u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("the URL %s is not an https URL", clip(u.Redacted(), 200))
	}
	return u.String(), nil
}

// checkOrder returns an error if an order lacks a field that its status requires. It resolves the
// order's URLs, and drops duplicate authorizations.
func checkOrder(base *url.URL, o *lego.Order, names []string) error {
	switch o.Status {
	case lego.StatusPending, lego.StatusReady:
		if o.Finalize == "" || len(o.Authorizations) == 0 {
			return fmt.Errorf("the %s order lacks finalize or authorizations", o.Status)
		}
	case lego.StatusProcessing, lego.StatusValid, lego.StatusInvalid:
	default:
		return fmt.Errorf("unknown order status %q", clip(o.Status, 50))
	}
	for _, id := range o.Identifiers {
		if !slices.Contains(names, strings.ToLower(id.Value)) {
			return fmt.Errorf("the order is for %s", clip(id.Value, 253))
		}
	}
	var authorizations []string
	for _, ref := range o.Authorizations {
		u, err := absolute(base, ref)
		if err != nil {
			return err
		}
		if !slices.Contains(authorizations, u) {
			authorizations = append(authorizations, u)
		}
	}
	if len(authorizations) > 2*len(names) {
		return fmt.Errorf("the order has %d authorizations for %d names", len(authorizations),
			len(names))
	}
	o.Authorizations = authorizations
	for _, ref := range []*string{&o.Finalize, &o.Certificate} {
		if *ref == "" {
			continue
		}
		var err error
		if *ref, err = absolute(base, *ref); err != nil {
			return err
		}
	}
	return nil
}

// checkAuthorization returns an error if an authorization lacks a field that its status requires,
// or if it is pending and not for one of the names: its challenge has no target. A valid one may be
// for another name, such as a parent (RFC 9444 §4). It resolves the URLs of the challenges.
func checkAuthorization(base *url.URL, a *lego.Authorization, names []string) error {
	switch a.Status {
	case lego.StatusPending:
		if !hasIdentifier(names, a.Identifier.Value) {
			return fmt.Errorf("the pending authorization is for %q",
				clip(a.Identifier.Value, 253))
		}
		if len(a.Challenges) == 0 {
			return errors.New("the pending authorization has no challenges")
		}
	case lego.StatusValid, lego.StatusInvalid, lego.StatusDeactivated, lego.StatusExpired,
		lego.StatusRevoked:
		return nil
	default:
		return fmt.Errorf("unknown authorization status %q", clip(a.Status, 50))
	}
	for i := range a.Challenges {
		c := &a.Challenges[i]
		if c.Type != "dns-01" {
			continue
		}
		if c.Token == "" || c.URL == "" {
			return errors.New("the DNS-01 challenge has no token or no URL")
		}
		var err error
		if c.URL, err = absolute(base, c.URL); err != nil {
			return err
		}
	}
	return nil
}

// hasIdentifier reports whether an order for the names has an authorization for the identifier.
func hasIdentifier(names []string, identifier string) bool {
	wanted := strings.ToLower(strings.TrimPrefix(identifier, "*."))
	return slices.ContainsFunc(names, func(name string) bool {
		return strings.ToLower(strings.TrimPrefix(name, "*.")) == wanted
	})
}
