package controlplane

import (
	"crypto/rand"
	"encoding/base64"
	"time"
)

const (
	// SessionIdle is how long an unused session lasts.
	SessionIdle = 12 * time.Hour
	// SessionLife is the maximum lifetime of a session.
	SessionLife = 30 * 24 * time.Hour
	// SessionTouch is the minimum interval between records of a session's use.
	SessionTouch = time.Minute
	// MaxSessions is how many sessions a user can have at a time. Another sign-in ends the least
	// recently used one.
	MaxSessions = 20
)

// Session is a signed-in user in one organization. It ends with the membership there.
type Session struct {
	ID         string
	Hash       []byte // SHA-256 of the cookie's value
	User       User
	OrgID      string
	OrgName    string // set in lists of sessions
	Role       Role   // current
	Tier       Tier   // of the organization
	IP         string
	UserAgent  string
	CreatedAt  time.Time
	LastSeenAt time.Time
	ExpiresAt  time.Time

	Invitations int // number of invitations by login that the user can accept
}

// NoSession returns the error for a session that has ended, or that belongs to another user:
// callers cannot distinguish the two.
func NoSession(id string) *Error {
	return &Error{Kind: KindNotFound, Code: "not-found", Message: "You have no session " +
		quote(id) + ", or it has ended.",
		Fix: "List your sessions, and choose one of them."}
}

// SessionCookie returns the name of the cookie. Over HTTPS, it has the prefix with which browsers
// reject the cookie from other hosts and over HTTP (RFC 6265bis §4.1.3).
func SessionCookie(secure bool) string {
	if secure {
		return "__Host-dcvaas_session"
	}
	return "dcvaas_session"
}

const randomBytes = 32

// NewRandomSecret returns 256 random bits in base64url, for cookies and links. Only its HashSecret
// is stored.
func NewRandomSecret() string {
	b := make([]byte, randomBytes)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// IsRandomSecret reports whether s has the form of a random secret, so that other values cost no
// query.
func IsRandomSecret(s string) bool {
	b, err := DecodeBase64URL(s)
	return err == nil && len(b) == randomBytes
}
