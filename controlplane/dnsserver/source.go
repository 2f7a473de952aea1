package dnsserver

import (
	"context"
	"time"
)

// Challenge is one TXT value that is served at a target until it expires.
type Challenge struct {
	Label     string // the target's, without the zone
	Value     string
	ExpiresAt time.Time
}

// Source provides the zone's content. It must be safe for concurrent use.
type Source interface {
	// Follow sends a full snapshot (Feed.StartSnapshot) and then every change in commit order to
	// feed, until ctx is done or the connection is lost. Then it returns an error, and the server
	// calls it again after a pause. It must detect a dead connection: until it returns, memory
	// counts as current. It calls feed from one goroutine at a time and never after it has
	// returned.
	Follow(ctx context.Context, feed Feed) error

	// Lookup returns whether a target exists, and its live challenges. ctx has a deadline of at
	// most one second.
	Lookup(ctx context.Context, label string) (exists bool, challenges []Challenge, err error)
}

// Feed receives the content from Source.Follow. A label is 32 characters of base32 (RFC 4648,
// without padding); other labels are logged and ignored. A challenge is served only while its
// target exists.
type Feed interface {
	// StartSnapshot starts a snapshot. Its Commit replaces all content. The server is then in sync
	// until Follow returns. Changes may be sent after the Commit, not before.
	StartSnapshot() Snapshot

	AddTarget(label string)
	// RemoveTarget removes the target and its challenges.
	RemoveTarget(label string)
	// AddChallenge adds a value, or changes the expiry of an existing one.
	AddChallenge(c Challenge)
	RemoveChallenge(label, value string)
	// Mark reports that every change before a beat was sent, see Leases.
	Mark(number int64)
}

// Snapshot receives the zone's whole content, one row at a time in any order, so that a million
// targets need no list.
type Snapshot interface {
	Target(label string)
	Challenge(c Challenge)
	Commit()
}
