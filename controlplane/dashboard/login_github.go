package dashboard

import (
	"context"
	"crypto/subtle"
	"net/http"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// GitHub authenticates users (package github).
type GitHub interface {
	// AuthURL returns the URL to redirect a user to.
	AuthURL(state, verifier string) string
	// Exchange returns the account for an authorization code.
	Exchange(ctx context.Context, code, verifier string) (controlplane.GitHubAccount, error)
}

// CallbackPath is the path that GitHub redirects to, below the public URL.
const CallbackPath = "/login/github/callback"

// flowLife is the maximum duration of a sign-in at GitHub.
const flowLife = 10 * time.Minute

// flow is a sign-in at GitHub in progress. It is stored in a signed cookie, so only the browser
// that started the sign-in can finish it.
type flow struct {
	State      string `json:"s"`
	Verifier   string `json:"v"`           // of PKCE (RFC 7636 §4.1)
	Next       string `json:"n,omitempty"` // path to redirect to after the sign-in
	Invitation []byte `json:"i,omitempty"` // SHA-256 of the secret of the invitation to accept
	Expires    int64  `json:"e"`           // Unix seconds
}

func (d *Dashboard) flowCookie() string {
	if d.config.Secure {
		return "__Host-dcvaas_sign_in"
	}
	return "dcvaas_sign_in"
}

// startGitHubSignIn starts a sign-in at GitHub.
func (d *Dashboard) startGitHubSignIn(w http.ResponseWriter, v *visit) error {
	if d.config.GitHub == nil {
		return signInNotConfigured()
	}
	if err := d.countSignIn(v); err != nil {
		return err
	}
	http.Redirect(w, v.Request, d.startFlow(w, v, flow{Next: safeNext(v.URL.Query().Get("next"))}),
		http.StatusSeeOther)
	return nil
}

// startFlow stores the flow in its cookie and returns the URL at GitHub. Count the sign-in first.
func (d *Dashboard) startFlow(w http.ResponseWriter, v *visit, f flow) string {
	f.State, f.Verifier, f.Expires = controlplane.NewRandomSecret(), controlplane.NewRandomSecret(),
		v.now.Add(flowLife).Unix()
	d.setCookie(w, d.flowCookie(), signCookie(d.flowKey, f), int(flowLife/time.Second))
	return d.config.GitHub.AuthURL(f.State, f.Verifier)
}

// finishGitHubSignIn handles the redirect from GitHub (RFC 6749 §4.1.2). The state must match the
// browser's flow cookie and is valid once. Otherwise nothing is looked up, stored, or sent to
// GitHub.
func (d *Dashboard) finishGitHubSignIn(w http.ResponseWriter, v *visit) error {
	if d.config.GitHub == nil {
		return signInNotConfigured()
	}
	f, ok := d.readFlow(v)
	if !ok || subtle.ConstantTimeCompare([]byte(v.URL.Query().Get("state")), []byte(f.State)) != 1 {
		return signInStateInvalid()
	}
	if err := d.countSignIn(v); err != nil {
		return err
	}
	code := v.URL.Query().Get("code")
	attempt, err := d.limiter.Try(v.Context(), controlplane.HashSecret(code), d.clientIP(v.Request))
	if err != nil {
		return err
	}
	d.setCookie(w, d.flowCookie(), "", -1)
	first, err := d.store.UseState(v.Context(), controlplane.HashSecret(f.State),
		time.Unix(f.Expires, 0))
	switch {
	case err != nil:
		attempt.Unknown(v.Context())
		return err
	case !first:
		attempt.Failed(v.Context())
		return signInStateInvalid()
	}
	account, err := d.exchangeCode(v, f, code)
	attempt.Ended(v.Context(), err)
	if f.Invitation != nil {
		return d.finishGitHubJoin(w, v, f, account, err)
	}
	if err != nil {
		return err
	}
	return d.startSession(w, v, account, f.Next)
}

// exchangeCode returns the account for an authorization code.
func (d *Dashboard) exchangeCode(
	v *visit, f flow, code string,
) (controlplane.GitHubAccount, error) {
	if code == "" {
		return controlplane.GitHubAccount{}, signInDenied()
	}
	account, err := d.config.GitHub.Exchange(v.Context(), code, f.Verifier)
	if err != nil {
		d.log.WarnContext(v.Context(), "dashboard: sign-in at GitHub failed", "request_id", v.id,
			"error", err)
	}
	return account, err
}

func (d *Dashboard) readFlow(v *visit) (flow, bool) {
	var f flow
	c, err := v.Cookie(d.flowCookie())
	if err != nil || !verifyCookie(d.flowKey, c.Value, &f) || v.now.Unix() >= f.Expires {
		return flow{}, false
	}
	return f, true
}

func signInStateInvalid() error {
	return &controlplane.Error{Kind: controlplane.KindMalformed, Code: "sign-in-state",
		Message: "This sign-in was started in another browser, was already used, or took longer than 10 minutes.", Fix: "Sign in again."}
}

func signInDenied() error {
	return &controlplane.Error{Kind: controlplane.KindForbidden, Code: "sign-in-denied",
		Message: "GitHub sign-in was canceled.",
		Fix:     "Sign in again and authorize DCVaaS at GitHub."}
}
