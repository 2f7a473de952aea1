package dashboard

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// cookieName returns the name of the session cookie, which the API also accepts.
func (d *Dashboard) cookieName() string { return controlplane.SessionCookie(d.config.Secure) }

// startSession signs in the account that GitHub or the development sign-in authenticated and
// redirects to next. A user who can only accept an invitation becomes a guest.
func (d *Dashboard) startSession(
	w http.ResponseWriter, v *visit, account controlplane.GitHubAccount, next string,
) error {
	session, secret, err := d.lifecycle.SignIn(v.Context(), d.anonymousActor(v), v.UserAgent(),
		account, v.replacedSessions()...)
	if controlplane.HasCode(err, "sign-up-closed") {
		return d.admitGuest(w, v, account, err)
	}
	if err != nil {
		return err
	}
	d.keepSession(w, secret)
	if next, err = d.signInTarget(v, session, next); err != nil {
		return err
	}
	http.Redirect(w, v.Request, next, http.StatusSeeOther)
	return nil
}

// replacedSessions returns the browser's current session, which a new one replaces.
func (v *visit) replacedSessions() []*controlplane.Session {
	if v.session == nil {
		return nil
	}
	return []*controlplane.Session{v.session}
}

// anonymousActor returns the actor of a visit without a signed-in user.
func (d *Dashboard) anonymousActor(v *visit) controlplane.Actor {
	return controlplane.Actor{IP: d.clientIP(v.Request), RequestID: v.id}
}

// keepSession sets the cookie of a new session.
func (d *Dashboard) keepSession(w http.ResponseWriter, secret string) {
	// The cookie has the maximum lifetime; the store decides whether the session expired before.
	d.setCookie(w, d.cookieName(), secret, int(controlplane.SessionLife/time.Second))
}

// forgetSession deletes the session cookie.
func (d *Dashboard) forgetSession(w http.ResponseWriter) { d.setCookie(w, d.cookieName(), "", -1) }

// readSession counts a visit and returns its session, nil if the visitor is not signed in.
func (d *Dashboard) readSession(w http.ResponseWriter, v *visit) (*controlplane.Session, error) {
	ip := d.clientIP(v.Request)
	c, err := v.Cookie(d.cookieName())
	if err != nil || !controlplane.IsRandomSecret(c.Value) {
		return nil, d.limiter.CountNetwork(v.Context(), ip)
	}
	s, err := d.sessions.Read(v.Context(),
		edge.SessionRequest{Secret: c.Value, IP: ip, RequestID: v.id, Now: v.now})
	if err == nil {
		return s, nil
	}
	if controlplane.IsKind(err, controlplane.KindUnauthorized) {
		d.forgetSession(w) // or every visit would count as a failure
		return nil, nil
	}
	return nil, err
}

// stillSignedIn reports whether the visit's session is still valid and in the same organization.
// It returns true while the database is unavailable.
func (d *Dashboard) stillSignedIn(v *visit) bool {
	s, err := d.store.Session(v.Context(), v.session.Hash, d.now())
	if err != nil {
		return !controlplane.IsKind(err, controlplane.KindNotFound)
	}
	return s.OrgID == v.session.OrgID
}

func (d *Dashboard) setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: d.config.Secure, SameSite: http.SameSiteLaxMode})
}

// signCookie returns v as the value of a cookie: JSON with an HMAC.
func signCookie(key []byte, v any) string {
	body, _ := json.Marshal(v) // of strings and numbers only
	return base64.RawURLEncoding.EncodeToString(body) + "." +
		base64.RawURLEncoding.EncodeToString(sign(key, body))
}

// verifyCookie decodes a value of signCookie into v. It reports whether the signature is valid.
func verifyCookie(key []byte, value string, v any) bool {
	head, tail, _ := strings.Cut(value, ".")
	body, err := controlplane.DecodeBase64URL(head)
	if err != nil {
		return false
	}
	mac, err := controlplane.DecodeBase64URL(tail)
	return err == nil && hmac.Equal(mac, sign(key, body)) && json.Unmarshal(body, v) == nil
}

// deriveKey derives a key for one purpose, so that a signature is not valid for another purpose.
func deriveKey(key []byte, purpose string) []byte { return sign(key, []byte("dashboard "+purpose)) }

func sign(key, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	return mac.Sum(nil)
}
