package edge_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// fakeSessions has one session.
type fakeSessions struct {
	session  controlplane.Session
	lookups  int
	touches  int
	touchErr error
}

func (f *fakeSessions) Session(
	_ context.Context, hash []byte, _ time.Time,
) (*controlplane.Session, error) {
	f.lookups++
	if !bytes.Equal(hash, f.session.Hash) {
		return nil, controlplane.NotFound("session", "")
	}
	s := f.session
	return &s, nil
}

func (f *fakeSessions) TouchSession(context.Context, *controlplane.Session, time.Time) error {
	f.touches++
	return f.touchErr
}

func TestSessionsRead(t *testing.T) {
	t.Parallel()
	secret := controlplane.NewRandomSecret()
	store := &fakeSessions{session: controlplane.Session{ID: "ses_1", OrgID: "org_1",
		Hash: controlplane.HashSecret(secret),
		User: controlplane.User{ID: "usr_1"}}}
	limits := controlplane.DefaultLimits()
	limits.Session, limits.Person = few(3), few(1000)
	l := newLimiter(t, startRedis(t), func(c *edge.LimiterConfig) { c.Limits = limits })
	sessions := edge.Sessions{Store: store, Limiter: l, Log: slog.New(slog.DiscardHandler)}
	var counted []edge.Caller
	read := func(secret string) (*controlplane.Session, error) {
		return sessions.Read(t.Context(),
			edge.SessionRequest{Secret: secret, IP: "192.0.2.1", Now: time.Now(),
				Count: func(c edge.Caller) error { counted = append(counted, c); return nil }})
	}
	if s, err := read(controlplane.NewRandomSecret()); s != nil ||
		!controlplane.HasCode(err, "session-ended") {
		t.Errorf("Read(unknown secret) = %v, %v, want nil, session-ended", s, err)
	}
	caller := edge.Caller{OrgID: "org_1", UserID: "usr_1"}
	store.touchErr = errors.New("unavailable") // the request does not fail because of it
	// the second time the caller is known before the lookup
	for i, calls := range []int{1, 2} {
		counted = nil
		s, err := read(secret)
		if err != nil || s == nil || s.ID != "ses_1" {
			t.Fatalf("Read %d = %v, %v, want session ses_1", i, s, err)
		}
		if len(counted) != calls || counted[0] != caller {
			t.Errorf("Read %d counts %v, want %d times %v", i, counted, calls, caller)
		}
	}
	if store.touches != 2 {
		t.Errorf("TouchSession was called %d times, want 2", store.touches)
	}
	_, _ = read(secret)
	store.lookups = 0
	if _, err := read(secret); !controlplane.IsKind(err, controlplane.KindRateLimited) {
		t.Errorf("Read over the session's limit = %v, want KindRateLimited", err)
	}
	if store.lookups != 0 {
		t.Errorf("Read over the session's limit made %d lookups, want 0", store.lookups)
	}
}
