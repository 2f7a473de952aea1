// Package client is a Go client of the control plane's REST API (controlplane/api/openapi.yaml).
// The Terraform provider is built on it; customers' programs may use it, too. It retries requests
// that are safe to retry, converts problem documents to *Error, and waits for changes of a domain
// or job. It never logs a body, token, or key.
//
// client_gen.go is generated from the contract: the types and the requests.
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

// DefaultMaxRetries is the recommended value of Options.MaxRetries.
const DefaultMaxRetries = 4

// attemptTimeout limits one attempt of a call. It is longer than a long poll of the API (60 s).
const attemptTimeout = 90 * time.Second

// Options configure a client.
type Options struct {
	// Endpoint is the API's base URL: https, or http on a loopback address.
	Endpoint string

	// Token is an API token, "dcv_…". Surrounding white space is ignored.
	Token string

	// TokenSource names the source of Token in errors, such as "the file /etc/dcvaas/token".
	TokenSource string

	// OrganizationID, if set, is the only organization that the client acts for: before its first
	// other request, it checks that the token belongs to it.
	OrganizationID string

	// MaxRetries is the maximum number of retries of a call; 0 disables retries. Otherwise, retries
	// after a rate limit are not counted.
	MaxRetries int

	// UserAgent is the User-Agent header of each request.
	UserAgent string

	// RootCAs verify the endpoint's certificate; nil means the system's roots.
	RootCAs *x509.CertPool

	// HTTPClient, if set, sends the requests. RootCAs is then not used. Redirects are not followed.
	HTTPClient *http.Client

	// Log, if set, is called after each attempt with its method, path, status, duration, and
	// request ID. It receives no secrets.
	Log func(ctx context.Context, msg string, fields map[string]any)
}

// Client calls the API. It is safe for concurrent use.
type Client struct {
	raw      *rawClient
	endpoint string
	acting   *acting
}

// OptionError states which option is invalid, and why. It never contains the token.
type OptionError struct {
	Option string // name of the field in Options
	Reason string
}

// Error returns the reason.
func (e *OptionError) Error() string { return e.Reason }

// New returns a client. It returns an *OptionError if an option is invalid. It sends no request, so
// an unknown token is reported by the first call.
func New(o Options) (*Client, error) {
	endpoint, err := parseEndpoint(o.Endpoint)
	if err != nil {
		return nil, &OptionError{Option: "Endpoint", Reason: err.Error()}
	}
	token := strings.TrimSpace(o.Token)
	if token == "" {
		return nil, &OptionError{Option: "Token", Reason: "the API token is missing"}
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, &OptionError{Option: "Token",
			Reason: "the API token contains white space or other characters that tokens never contain"}
	}
	if o.MaxRetries < 0 {
		return nil, &OptionError{Option: "MaxRetries", Reason: "the number of retries is negative"}
	}

	h := http.Client{Timeout: attemptTimeout}
	if o.HTTPClient != nil {
		h = *o.HTTPClient
	} else {
		t := cleanhttp.DefaultPooledTransport()
		t.MaxIdleConnsPerHost = 64 // Terraform runs many operations in parallel
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs}
		h.Transport = t
	}
	// Following a redirect would send the token elsewhere. It becomes an error that names the
	// target.
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.Transport = &logged{next: h.Transport, log: o.Log}

	c := &Client{endpoint: endpoint}
	c.acting = &acting{next: newRetrier(&h, o.MaxRetries), guard: o.OrganizationID,
		source: o.TokenSource, identify: c.Identify}
	c.raw, err = NewClient(endpoint, WithHTTPClient(c.acting),
		WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+token)
			if r.Method == http.MethodPost && r.Header.Get(idempotencyKey) == "" {
				r.Header.Set(idempotencyKey, rand.Text()) // the same for all attempts of this call
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
	return c, nil
}

// Endpoint returns the base URL, without a trailing slash.
func (c *Client) Endpoint() string { return c.endpoint }

func parseEndpoint(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return "", fmt.Errorf("the endpoint %q is not a URL such as https://dcvaas.example.com", s)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf(
			"the endpoint with the host %q must have only a scheme, host, port, and path", u.Host)
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && rules.IsLoopbackHost(u.Hostname()):
	case u.Scheme == "http":
		return "", fmt.Errorf(
			"the endpoint %q would send the token unencrypted: use https (http is allowed only for loopback addresses)", s)
	default:
		return "", fmt.Errorf(
			"the endpoint %q must start with https:// (or http:// for a loopback address)", s)
	}
	return strings.TrimRight(u.String(), "/"), nil
}
