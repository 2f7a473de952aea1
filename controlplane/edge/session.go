package edge

import (
	"context"
	"log/slog"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// SessionStore is the part of the store that Sessions needs.
type SessionStore interface {
	// Session returns the session with the hash of its secret, or KindNotFound.
	Session(ctx context.Context, hash []byte, now time.Time) (*controlplane.Session, error)
	// TouchSession records that the session was used.
	TouchSession(ctx context.Context, s *controlplane.Session, now time.Time) error
}

// Sessions finds the session of a request by its cookie.
type Sessions struct {
	Store   SessionStore
	Limiter *Limiter // nil: nothing is limited
	Log     *slog.Logger
}

// SessionRequest is one request with a session cookie.
type SessionRequest struct {
	Secret    string // the cookie's value; it must pass controlplane.IsRandomSecret
	IP        string // of the client
	RequestID string
	Now       time.Time

	// Count counts the request against further limits of its caller. It is called before the lookup
	// if the caller is already known, and after it. Nil: no further limits.
	Count func(Caller) error
}

// Read counts a request against the limits of its session and its user, looks up the session, and
// records its use. Limits of known callers apply before the lookup. Read returns KindUnauthorized
// "session-ended" for an unknown or expired session. If the session exceeds a limit that only the
// lookup revealed, Read returns it together with the error.
func (s *Sessions) Read(ctx context.Context, r SessionRequest) (*controlplane.Session, error) {
	hash := controlplane.HashSecret(r.Secret)
	var session *controlplane.Session
	counted := "" // user
	count := func(c Caller) error {
		if session == nil { // before the lookup
			if err := s.Limiter.CountSession(ctx, hash); err != nil {
				return err
			}
		}
		if c.UserID != counted {
			counted = c.UserID
			if err := s.Limiter.CountPerson(ctx, c.UserID); err != nil {
				return err
			}
		}
		if r.Count == nil || c == (Caller{}) {
			return nil
		}
		return r.Count(c)
	}
	err := s.Limiter.Verify(ctx, hash, r.IP, count, func() (c Caller, err error) {
		if session, err = s.ByHash(ctx, hash, r.Now); err != nil {
			return c, err
		}
		return Caller{OrgID: session.OrgID, Tier: session.Tier, UserID: session.User.ID}, nil
	})
	if err != nil {
		return session, err
	}
	err = s.Store.TouchSession(ctx, session, r.Now)
	if err != nil && ctx.Err() == nil { // the request does not fail because of it
		s.Log.LogAttrs(ctx, slog.LevelWarn, "session use not recorded",
			slog.String("request_id", r.RequestID),
			slog.String("session_id", session.ID), slog.Any("error", err))
	}
	return session, nil
}

// ByHash returns the session with the hash of its secret, uncounted. It returns KindUnauthorized
// "session-ended" for an unknown or expired session.
func (s *Sessions) ByHash(
	ctx context.Context, hash []byte, now time.Time,
) (*controlplane.Session, error) {
	session, err := s.Store.Session(ctx, hash, now)
	if controlplane.IsKind(err, controlplane.KindNotFound) {
		return nil, SessionEnded()
	}
	return session, err
}

// SessionEnded returns the KindUnauthorized "session-ended" of a cookie without a session.
func SessionEnded() error {
	return &controlplane.Error{Kind: controlplane.KindUnauthorized, Code: "session-ended",
		Message: "The session has expired or was signed out, or its membership has ended."}
}
