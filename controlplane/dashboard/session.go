package dashboard

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// sessionLife is how long somebody stays signed in.
const sessionLife = 12 * time.Hour

// byDevelopment is the way in that DevSignIn opens.
const byDevelopment = "dev"

// session is who is signed in. It stands signed in the cookie and nowhere else, so any
// process can read it, and signing out only makes the browser forget it.
type session struct {
	OrgID   string `json:"o"`
	User    string `json:"u"`
	By      string `json:"b"` // the way in
	Expires int64  `json:"e"` // Unix seconds
}

// cookieName has the prefix by which browsers refuse the cookie from other hosts and over
// http (RFC 6265bis §4.1.3), where https is there.
func (d *Dashboard) cookieName() string {
	if d.config.Secure {
		return "__Host-dcvaas_session"
	}
	return "dcvaas_session"
}

// startSession signs somebody in.
func (d *Dashboard) startSession(w http.ResponseWriter, s session, now time.Time) {
	s.Expires = now.Add(sessionLife).Unix()
	d.setCookie(w, d.cookieName(), d.seal(s), int(sessionLife/time.Second))
}

// endSession makes the browser forget who was signed in.
func (d *Dashboard) endSession(w http.ResponseWriter) { d.setCookie(w, d.cookieName(), "", -1) }

// readSession returns who is signed in: nil where the cookie is missing, was not made by us,
// has expired, or came by a way in that is not open any more.
func (d *Dashboard) readSession(r *http.Request, now time.Time) *session {
	c, err := r.Cookie(d.cookieName())
	if err != nil {
		return nil
	}
	s, ok := d.unseal(c.Value)
	if !ok || now.Unix() >= s.Expires {
		return nil
	}
	if dev := d.config.DevSignIn; s.By != byDevelopment || dev == nil || dev.OrgID != s.OrgID {
		return nil
	}
	return &s
}

func (d *Dashboard) setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: d.config.Secure, SameSite: http.SameSiteLaxMode})
}

func (d *Dashboard) seal(s session) string {
	body, _ := json.Marshal(s) // of strings and a number only
	return base64.RawURLEncoding.EncodeToString(body) + "." + base64.RawURLEncoding.EncodeToString(sign(d.sessionKey, body))
}

func (d *Dashboard) unseal(value string) (session, bool) {
	head, tail, _ := strings.Cut(value, ".")
	body, err := base64.RawURLEncoding.Strict().DecodeString(head)
	if err != nil {
		return session{}, false
	}
	mac, err := base64.RawURLEncoding.Strict().DecodeString(tail)
	if err != nil || !hmac.Equal(mac, sign(d.sessionKey, body)) {
		return session{}, false
	}
	var s session
	return s, json.Unmarshal(body, &s) == nil
}

// deriveKey makes a key for one purpose, so that what is signed for one is no good for
// another.
func deriveKey(key []byte, purpose string) []byte { return sign(key, []byte("dashboard "+purpose)) }

func sign(key, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	return mac.Sum(nil)
}
