// Package github knows people at GitHub, or at a GitHub Enterprise Server: it sends them there
// to sign in, learns whose account it is, and finds accounts by login. The dashboard and the
// API call it, each by an interface of its own. It keeps no token of GitHub's, and asks for none of its users' data.
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

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// timeout bounds each request to GitHub; somebody waits for it.
	timeout = 5 * time.Second
	// maxBody is how much of an answer is read; an account has about 2 KiB.
	maxBody = 64 << 10
	// maxName is how many characters are kept of what an account calls itself.
	maxName = 200
)

// Client speaks to one GitHub. Its fields are set before it is used; it is safe for
// concurrent use then.
type Client struct {
	ID, Secret  string // of the OAuth app
	WebURL      string // https://github.com
	APIURL      string // https://api.github.com; https://HOST/api/v3 of an Enterprise Server
	RedirectURL string // where the sign-in comes back to
}

// AuthURL returns where to send somebody to sign in. The state comes back with them; verifier
// is the secret of PKCE (RFC 7636), of which GitHub gets the SHA-256.
func (c *Client) AuthURL(state, verifier string) string {
	return c.oauth().AuthCodeURL(state, oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("allow_signup", "true"))
}

// Exchange returns whose account a sign-in came back for. Errors: KindUnauthorized
// "sign-in-refused" where GitHub does not accept the code, KindUnavailable
// "github-unavailable" where it does not answer as it should.
func (c *Client) Exchange(ctx context.Context, code, verifier string) (controlplane.GitHubAccount, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, httpClient)
	token, err := c.oauth().Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.ErrorCode != "" {
		return controlplane.GitHubAccount{}, &controlplane.Error{Kind: controlplane.KindUnauthorized, Code: "sign-in-refused",
			Message: "GitHub did not confirm the sign-in.", Fix: "Sign in again. When it persists, the operator looks at the log.",
			Err: fmt.Errorf("github: %s", refused.ErrorCode)}
	}
	if err != nil {
		return controlplane.GitHubAccount{}, unavailable(withoutBody(err), time.Time{})
	}
	return c.account(ctx, "/user", func(r *http.Request) { token.SetAuthHeader(r) })
}

// LookUp returns the account of a login. Errors: KindInvalid "login-unknown" where GitHub knows
// no person by it, KindUnavailable "github-unavailable" where it does not answer as it should.
func (c *Client) LookUp(ctx context.Context, login string) (controlplane.GitHubAccount, error) {
	if !controlplane.IsLogin(login) {
		return controlplane.GitHubAccount{}, loginUnknown()
	}
	// As the app, which may ask more often than anybody may.
	a, err := c.account(ctx, "/users/"+url.PathEscape(login), func(r *http.Request) { r.SetBasicAuth(c.ID, c.Secret) })
	if errors.Is(err, errNone) {
		return a, loginUnknown()
	}
	return a, err
}

func (c *Client) oauth() *oauth2.Config {
	web := strings.TrimSuffix(c.WebURL, "/") + "/login/oauth"
	return &oauth2.Config{ClientID: c.ID, ClientSecret: c.Secret, RedirectURL: c.RedirectURL, Endpoint: oauth2.Endpoint{
		AuthURL: web + "/authorize", TokenURL: web + "/access_token", AuthStyle: oauth2.AuthStyleInParams}}
}

// errNone says that there is no such account, or that it is no person's.
var errNone = errors.New("github: no such account")

func (c *Client) account(ctx context.Context, path string, authorize func(*http.Request)) (controlplane.GitHubAccount, error) {
	var a controlplane.GitHubAccount
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.APIURL, "/")+path, nil)
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
		return a, unavailable(fmt.Errorf("github: %s", resp.Status), retryAt(resp.Header))
	}
	var body struct {
		ID    int64  `json:"id"`
		Login string `json:"login"`
		Name  string `json:"name"`
		Type  string `json:"type"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&body); err != nil {
		return a, unavailable(fmt.Errorf("github: an answer that cannot be read: %w", err), time.Time{})
	}
	if body.ID <= 0 || !controlplane.IsLogin(body.Login) {
		return a, unavailable(errors.New("github: an account without id or login"), time.Time{})
	}
	if body.Type != "User" {
		return a, errNone
	}
	return controlplane.GitHubAccount{ID: body.ID, Login: body.Login, Name: tidy(body.Name)}, nil
}

// tidy returns a name that people chose as it can be shown and stored.
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

// retryAt returns when GitHub's limit lets calls through again, zero where it does not say.
func retryAt(h http.Header) time.Time {
	if s, err := strconv.Atoi(h.Get("Retry-After")); err == nil && s > 0 {
		return time.Now().Add(time.Duration(s) * time.Second)
	}
	if at, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil && h.Get("X-RateLimit-Remaining") == "0" {
		return time.Unix(at, 0)
	}
	return time.Time{}
}

// httpClient follows no redirect: a token goes where it was meant to and nowhere else.
var httpClient = &http.Client{Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// withoutBody returns an error without GitHub's answer, in which a token may stand.
func withoutBody(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && e.Response != nil {
		return fmt.Errorf("github: %s", e.Response.Status)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e
	}
	return errors.New("github: the answer with the token cannot be read")
}

func unavailable(err error, retryAt time.Time) error {
	return &controlplane.Error{Kind: controlplane.KindUnavailable, Code: "github-unavailable", RetryAt: retryAt, Err: err,
		Message: "GitHub does not answer as it should.", Fix: "Try again in a while."}
}

func loginUnknown() error {
	return controlplane.Invalid("/login", "login-unknown", "GitHub knows no person with this login.",
		"Check the spelling. Where the login is not known, create an invitation and send its link.")
}
