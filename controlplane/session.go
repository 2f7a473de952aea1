package controlplane

import (
	"crypto/rand"
	"encoding/base64"
	"time"
)

const (
	// SessionIdle is how long a session lasts that is not used.
	SessionIdle = 12 * time.Hour
	// SessionLife is how long a session lasts, however much it is used.
	SessionLife = 30 * 24 * time.Hour
	// SessionTouch is how often a session's use is recorded at most.
	SessionTouch = time.Minute
	// MaxSessions is how many sessions a user has at a time. Another sign-in ends the one that
	// was not used for longest.
	MaxSessions = 20
)

// Session is somebody who is signed in, in one organization. It ends with their membership
// there.
type Session struct {
	ID         string
	Hash       []byte // SHA-256 of the cookie's value
	User       User
	OrgID      string
	OrgName    string // known where sessions are listed
	Role       Role   // of now
	Tier       Tier   // of the organization
	IP         string
	UserAgent  string
	CreatedAt  time.Time
	LastSeenAt time.Time
	ExpiresAt  time.Time

	Invitations int // how many invitations by login the user can accept
}

// NoSession is the error for a session that has ended, or is not the user's own: the two cannot
// be told apart.
func NoSession(id string) *Error {
	return &Error{Kind: KindNotFound, Code: "not-found", Message: "You have no session " + quote(id) + ", or it has ended.",
		Fix: "List your sessions, and end one of those."}
}

// SessionCookie returns the name of the cookie. With https it has the prefix by which browsers
// refuse it from other hosts and over http (RFC 6265bis §4.1.3).
func SessionCookie(secure bool) string {
	if secure {
		return "__Host-dcvaas_session"
	}
	return "dcvaas_session"
}

const randomBytes = 32

// NewRandomSecret returns 256 random bits in base64url, for cookies and links. What is stored
// of one is HashSecret.
func NewRandomSecret() string {
	b := make([]byte, randomBytes)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// IsRandomSecret reports whether s has the form of one, so that any other costs no query.
func IsRandomSecret(s string) bool {
	b, err := DecodeBase64URL(s)
	return err == nil && len(b) == randomBytes
}
