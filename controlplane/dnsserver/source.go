package dnsserver

import (
	"context"
	"time"
)

// Challenge is one TXT value that is answered at a target until it expires.
type Challenge struct {
	Label     string // of the target, without the zone
	Value     string
	ExpiresAt time.Time
}

// Source is where the zone's content comes from. It must be safe for concurrent use.
type Source interface {
	// Follow sends a full snapshot (Feed.Begin) and then every change in commit order to
	// feed, until ctx ends or the connection is lost; then it returns an error and the server
	// calls it again after a pause. It must notice a dead connection by itself: while it has
	// not returned, memory counts as current. It calls feed from one goroutine at a time and
	// never after it has returned.
	Follow(ctx context.Context, feed Feed) error

	// Lookup reads one target through: whether it exists, and its live challenges. ctx ends
	// after at most a second.
	Lookup(ctx context.Context, label string) (exists bool, challenges []Challenge, err error)
}

// Feed takes what Source.Follow sends. A label is 32 characters of base32 (RFC 4648,
// without padding); any other is logged and ignored. A challenge is answered only while its
// target exists.
type Feed interface {
	// Begin starts a snapshot, which at its Commit replaces everything. From then on the
	// server is in sync, until Follow returns. Changes may follow the Commit, not precede it.
	Begin() Snapshot

	AddTarget(label string)
	// RemoveTarget removes the target and its challenges.
	RemoveTarget(label string)
	// AddChallenge adds a value, or moves the expiry of one that is there.
	AddChallenge(c Challenge)
	RemoveChallenge(label, value string)
}

// Snapshot takes the zone's whole content, in any order, a row at a time, so that a million
// targets need no list of them.
type Snapshot interface {
	Target(label string)
	Challenge(c Challenge)
	Commit()
}
