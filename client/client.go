// Package client speaks the control plane's REST API (controlplane/api/openapi.yaml). The Terraform provider is built on
// it, and programs of customers may be. It retries what is safe to retry, turns problem documents into *Error, and waits
// for a domain to move. It never logs a body, a token or a key, and knows nothing of how the control plane is built.
//
// client_gen.go is generated from the contract: the objects, and how each call is spelled.
package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-cleanhttp"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// DefaultMaxRetries is how often a failed call is tried again by a client with no other wish.
const DefaultMaxRetries = 4

// attemptTimeout bounds one attempt of a call. It is longer than the API may hold an answer (60 s).
const attemptTimeout = 90 * time.Second

// Options say how to reach the API and as whom.
type Options struct {
	// Endpoint is the API's base URL: https, or http on a loopback address.
	Endpoint string

	// Token is an API token, "dcv_…". White space around it is ignored.
	Token string

	// MaxRetries is how often a failed call is tried again; 0 is never. Waiting for a rate limit does not count, unless it
	// is 0.
	MaxRetries int

	// UserAgent is sent with each request.
	UserAgent string

	// RootCAs are trusted for the endpoint's certificate; nil means the system's.
	RootCAs *x509.CertPool

	// HTTPClient carries the requests where it is set; RootCAs is then not used. Its redirects are not followed.
	HTTPClient *http.Client

	// Log is told of each attempt where it is set: method, path, status, duration and request id, and nothing secret.
	Log func(ctx context.Context, msg string, fields map[string]any)
}

// Client calls the API. It is safe for use by many goroutines.
type Client struct {
	raw      *rawClient
	endpoint string
}

// OptionError says which option New refuses, and why. It repeats no token.
type OptionError struct {
	Option string // name of the field of Options
	Reason string
}

// Error returns the reason.
func (e *OptionError) Error() string { return e.Reason }

// New returns a client, or *OptionError. It makes no request, so a wrong token shows with the first call.
func New(o Options) (*Client, error) {
	endpoint, err := parseEndpoint(o.Endpoint)
	if err != nil {
		return nil, &OptionError{Option: "Endpoint", Reason: err.Error()}
	}
	token := strings.TrimSpace(o.Token)
	if token == "" {
		return nil, &OptionError{Option: "Token", Reason: "no API token is given"}
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, &OptionError{Option: "Token", Reason: "the API token contains white space or other characters that no token has"}
	}
	if o.MaxRetries < 0 {
		return nil, &OptionError{Option: "MaxRetries", Reason: "the number of retries is negative"}
	}

	h := http.Client{Timeout: attemptTimeout}
	if o.HTTPClient != nil {
		h = *o.HTTPClient
	} else {
		t := cleanhttp.DefaultPooledTransport()
		t.MaxIdleConnsPerHost = 64 // Terraform works on many resources at once
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs}
		h.Transport = t
	}
	// A redirect would carry the token somewhere else; it becomes an error that says where to.
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.Transport = &logged{next: h.Transport, log: o.Log}

	raw, err := NewClient(endpoint, WithHTTPClient(newRetrier(&h, o.MaxRetries)),
		WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+token)
			if r.Method == http.MethodPost && r.Header.Get(idempotencyKey) == "" {
				r.Header.Set(idempotencyKey, rand.Text()) // one for all attempts of this call
			}
			r.Header.Set("Accept", "application/json, application/problem+json, */*;q=0.1")
			if o.UserAgent != "" {
				r.Header.Set("User-Agent", o.UserAgent)
			}
			return nil
		}))
	if err != nil {
		return nil, err
	}
	return &Client{raw: raw, endpoint: endpoint}, nil
}

// Endpoint returns the base URL, without a trailing slash.
func (c *Client) Endpoint() string { return c.endpoint }

func parseEndpoint(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return "", fmt.Errorf("the endpoint %q is not a URL such as https://dcvaas.example.com", s)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("the endpoint of host %q has more than scheme, host, port and path", u.Host)
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && rules.IsLoopbackHost(u.Hostname()):
	case u.Scheme == "http":
		return "", fmt.Errorf("the endpoint %q would send the token unencrypted: use https (http is for loopback addresses only)", s)
	default:
		return "", fmt.Errorf("the endpoint %q begins with neither https:// nor, for a loopback address, http://", s)
	}
	return strings.TrimRight(u.String(), "/"), nil
}
