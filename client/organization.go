package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
)

// Headers of every response of the API. Proxies and other services do not send them.
const (
	headerAPI          = "DCVaaS-API"
	headerOrganization = "DCVaaS-Organization" // if authenticated
)

// OrganizationError means that a response is about another organization than the one that the
// client acts for.
type OrganizationError struct {
	Want   string // ID that the client acts for
	Got    string // ID of the organization that responded
	Guard  bool   // Want is Options.OrganizationID, and nothing but the organization was requested
	Source string // Options.TokenSource
}

// Error returns both organizations.
func (e *OrganizationError) Error() string {
	if e.Guard {
		return fmt.Sprintf("the API token%s belongs to the organization %s, not to %s",
			from(e.Source), e.Got, e.Want)
	}
	return fmt.Sprintf("the response is about the organization %s, the previous ones about %s",
		e.Got, e.Want)
}

// from returns " from source", "" without a source.
func from(source string) string {
	if source == "" {
		return ""
	}
	return " from " + source
}

// Organization returns the token's organization, its plan, and its usage.
func (c *Client) Organization(ctx context.Context) (*Organization, error) {
	return decode[Organization](c.raw.GetOrganization(ctx))
}

// Identify returns the ID of the organization that the token belongs to, from the headers of the
// responses. The token needs no scope for it. It requests the organization only if no earlier
// response identified it. It returns an *Error if the endpoint is not a DCVaaS API or rejects the
// token, and an *OrganizationError if Options.OrganizationID is another organization.
func (c *Client) Identify(ctx context.Context) (string, error) {
	if id := c.acting.known(); id != "" {
		return id, nil
	}
	_, _, err := read(c.raw.GetOrganization(context.WithValue(ctx, identifyKey{}, true)))
	var e *Error
	switch {
	case err == nil, errors.As(err, &e) && e.OrganizationID != "":
		if id := c.acting.known(); id != "" {
			return id, nil
		}
		return "", errors.New("the API did not identify the token's organization")
	default:
		return "", err
	}
}

type identifyKey struct{}

// acting sends requests and checks that all responses are about one organization: guard or, without
// it, that of the first response.
type acting struct {
	next     HttpRequestDoer
	guard    string // Options.OrganizationID
	source   string // Options.TokenSource
	identify func(ctx context.Context) (string, error)

	mu sync.Mutex
	id string // "" before the first response
}

// Do implements HttpRequestDoer. With a guard, it sends no other request before the organization is
// identified.
func (a *acting) Do(r *http.Request) (*http.Response, error) {
	if a.guard != "" && r.Context().Value(identifyKey{}) == nil {
		if _, err := a.identify(r.Context()); err != nil {
			return nil, err
		}
	}
	resp, err := a.next.Do(r.WithContext(context.WithValue(r.Context(), sourceKey{}, a.source)))
	if err != nil {
		return nil, err
	}
	if err := a.check(resp); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// sourceKey is the key of the token's source in the contexts of requests.
type sourceKey struct{}

// check returns an *OrganizationError if a response of the API is about another organization.
func (a *acting) check(resp *http.Response) error {
	got := resp.Header.Get(headerOrganization)
	if got == "" || !isAPI(resp) {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.id == got:
		return nil
	case a.id == "" && (a.guard == "" || a.guard == got):
		a.id = got
		return nil
	case a.id == "":
		return &OrganizationError{Want: a.guard, Got: got, Guard: true, Source: a.source}
	}
	return &OrganizationError{Want: a.id, Got: got, Source: a.source}
}

// known returns the organization that the client acts for, "" before it is identified.
func (a *acting) known() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.id
}

// isAPI reports whether the API itself responded.
func isAPI(resp *http.Response) bool { return resp.Header.Get(headerAPI) != "" }
