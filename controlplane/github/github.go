// Package github signs users in with GitHub or a GitHub Enterprise Server and finds accounts by
// login. The dashboard and the API call it through their own interfaces. It stores no GitHub token
// and requests no other data of the users.
package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/oauth2"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// timeout limits each request to GitHub, because a user waits for it.
	timeout = 5 * time.Second
	// maxBody limits a response. An account has about 2 KiB.
	maxBody = 64 << 10
	// maxName limits the name of an account, in characters.
	maxName = 200
)

// Client is a client of one GitHub server. Set its fields before the first call. It is then safe
// for concurrent use.
type Client struct {
	ID, Secret  string // of the OAuth app
	WebURL      string // https://github.com
	APIURL      string // https://api.github.com; https://HOST/api/v3 of an Enterprise Server
	RedirectURL string // receives the user after the sign-in

	Now func() time.Time // default time.Now
}

// AuthURL returns the sign-in URL. GitHub returns state to RedirectURL. verifier is the PKCE secret
// (RFC 7636), of which GitHub gets the SHA-256 hash.
func (c *Client) AuthURL(state, verifier string) string {
	return c.oauth().AuthCodeURL(state, oauth2.S256ChallengeOption(verifier),
		oauth2.SetAuthURLParam("allow_signup", "true"))
}

// Exchange returns the account of a sign-in. It returns KindUnauthorized "sign-in-refused" if
// GitHub rejects the code, and KindUnavailable "github-unavailable" if GitHub is unreachable or its
// response is invalid.
func (c *Client) Exchange(
	ctx context.Context, code, verifier string,
) (controlplane.GitHubAccount, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, httpClient)
	token, err := c.oauth().Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.ErrorCode != "" {
		return controlplane.GitHubAccount{},
			&controlplane.Error{Kind: controlplane.KindUnauthorized, Code: "sign-in-refused",
				Message: "GitHub rejected the sign-in.",
				Fix:     "Sign in again. If the error persists, ask the operator to check the log.",
				Err:     fmt.Errorf("github: %s", refused.ErrorCode)}
	}
	if err != nil {
		return controlplane.GitHubAccount{}, unavailable(withoutBody(err), time.Time{})
	}
	return c.account(ctx, "/user", func(r *http.Request) { token.SetAuthHeader(r) })
}

// LookUp returns the account of a login. It returns KindInvalid "login-unknown" if the login does
// not belong to a user, and KindUnavailable "github-unavailable" if GitHub is unreachable or its
// response is invalid.
func (c *Client) LookUp(ctx context.Context, login string) (controlplane.GitHubAccount, error) {
	if !controlplane.IsLogin(login) {
		return controlplane.GitHubAccount{}, controlplane.InvalidBy("/login", rules.CheckLogin(login))
	}
	// Authenticating as the app gives a higher rate limit.
	a, err := c.account(ctx, "/users/"+url.PathEscape(login),
		func(r *http.Request) { r.SetBasicAuth(c.ID, c.Secret) })
	if errors.Is(err, errNone) {
		return a, loginUnknown()
	}
	return a, err
}

func (c *Client) oauth() *oauth2.Config {
	web := strings.TrimSuffix(c.WebURL, "/") + "/login/oauth"
	return &oauth2.Config{ClientID: c.ID, ClientSecret: c.Secret, RedirectURL: c.RedirectURL,
		Endpoint: oauth2.Endpoint{
			AuthURL: web + "/authorize", TokenURL: web +
				"/access_token", AuthStyle: oauth2.AuthStyleInParams}}
}

// errNone means that the account does not exist or is not a user.
var errNone = errors.New("github: no such account")

func (c *Client) account(
	ctx context.Context, path string, authorize func(*http.Request),
) (controlplane.GitHubAccount, error) {
	var a controlplane.GitHubAccount
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.APIURL, "/")+
		path, nil)
	if err != nil {
		return a, err
	}
	r.Header.Set("Accept", "application/vnd.github+json")
	r.Header.Set("User-Agent", "dcvaas")
	authorize(r)
	resp, err := httpClient.Do(r)
	if err != nil {
		return a, unavailable(err, time.Time{})
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return a, errNone
	default:
		return a, unavailable(fmt.Errorf("github: %s", resp.Status), c.retryAt(resp.Header))
	}
	var body struct {
		ID    int64  `json:"id"`
		Login string `json:"login"`
		Name  string `json:"name"`
		Type  string `json:"type"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&body); err != nil {
		return a, unavailable(fmt.Errorf("github: malformed account: %w", err), time.Time{})
	}
	if body.ID <= 0 || !controlplane.IsLogin(body.Login) {
		return a, unavailable(errors.New("github: the account has no valid ID or login"),
			time.Time{})
	}
	if body.Type != "User" {
		return a, errNone
	}
	return controlplane.GitHubAccount{ID: body.ID, Login: body.Login, Name: tidy(body.Name)}, nil
}

// tidy returns an account's name without control characters, truncated for storage.
func tidy(name string) string {
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, name))
	if runes := []rune(name); len(runes) > maxName {
		name = string(runes[:maxName])
	}
	return name
}

// retryAt returns when GitHub's rate limit permits the next request, or zero if the response does
// not contain that time.
func (c *Client) retryAt(h http.Header) time.Time {
	if s, err := strconv.Atoi(h.Get("Retry-After")); err == nil && s > 0 {
		now := time.Now
		if c.Now != nil {
			now = c.Now
		}
		return now().Add(time.Duration(s) * time.Second)
	}
	if at, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil &&
		h.Get("X-RateLimit-Remaining") == "0" {
		return time.Unix(at, 0)
	}
	return time.Time{}
}

// httpClient does not follow redirects, so that a token is sent only to its intended host.
var httpClient = &http.Client{Timeout: timeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// withoutBody returns an error without GitHub's response body, which may contain a token.
func withoutBody(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && e.Response != nil {
		return fmt.Errorf("github: %s", e.Response.Status)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e
	}
	return errors.New("github: malformed token response")
}

func unavailable(err error, retryAt time.Time) error {
	return &controlplane.Error{Kind: controlplane.KindUnavailable,
		Code: "github-unavailable", RetryAt: retryAt, Err: err,
		Message: "GitHub is unavailable.", Fix: "Retry later."}
}

func loginUnknown() error {
	return controlplane.InvalidBy("/login", rules.LoginUnknown())
}
