package edge

import (
	"context"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

const (
	// callerLife is the minimum time for which a verified credential is exempt from its network's
	// limit.
	callerLife = 10 * time.Minute
	// maxCallers is the maximum number of remembered credentials.
	maxCallers = 20_000
	// verifiedKey is the kind of Redis keys with which processes share verified credentials.
	verifiedKey = "verified"
)

// Caller is remembered for a verified credential. It is used to count calls before the store is
// queried, and never to authenticate.
type Caller struct {
	OrgID  string
	Tier   controlplane.Tier
	UserID string // empty for a token
}

// Attempt is the use of one credential. End it with Verified, Failed, or Unknown.
type Attempt struct {
	Caller Caller // from the last verification
	Known  bool   // this process verified the credential recently

	limiter  *Limiter
	hash     string
	network  string
	reserved bool // a failure is already counted, and given back on success
}

// Try starts the use of a credential, given its hash, before any lookup. Recently verified
// credentials are exempt. For the others, failures are limited for each client network. It returns
// an error of the policy Failures.
func (l *Limiter) Try(ctx context.Context, hash []byte, ip string) (*Attempt, error) {
	a := &Attempt{limiter: l, hash: string(hash), network: Network(ip)}
	if l == nil {
		return a, nil
	}
	if a.Caller, a.Known = l.callers.get(a.hash, l.now()); a.Known {
		return a, nil
	}
	err := l.Check(ctx, l.Failures, a.network)
	switch {
	case err == nil:
		a.reserved = true
	case !l.verifiedElsewhere(ctx, a.hash):
		return nil, err
	}
	return a, nil
}

// Verify verifies a credential by its hash. It counts the request twice with count: with the
// remembered caller of the credential, before lookUp queries anything, and with the caller that
// lookUp returns. lookUp returns KindUnauthorized if the credential is invalid, which counts as a
// failure of the client network.
func (l *Limiter) Verify(
	ctx context.Context, hash []byte, ip string, count func(Caller) error,
	lookUp func() (Caller, error),
) error {
	attempt, err := l.Try(ctx, hash, ip)
	if err != nil {
		return err
	}
	if err := count(attempt.Caller); err != nil {
		attempt.Unknown(ctx)
		return err
	}
	caller, err := lookUp()
	if err != nil {
		attempt.Ended(ctx, err)
		return err
	}
	attempt.Verified(ctx, caller)
	return count(caller)
}

// Verified ends an attempt with a valid credential.
func (a *Attempt) Verified(ctx context.Context, c Caller) {
	l := a.limiter
	if l == nil {
		return
	}
	if !a.Known {
		l.query(ctx, func(ctx context.Context) error {
			return l.client.Set(ctx, l.redisKey(verifiedKey, a.hash), 1, 2*callerLife).Err()
		})
	}
	l.callers.put(a.hash, c, l.now())
	a.Unknown(ctx)
}

// Failed ends an attempt with an invalid or expired credential.
func (a *Attempt) Failed(ctx context.Context) {
	l := a.limiter
	if l == nil || a.reserved {
		return
	}
	l.callers.drop(a.hash) // no longer exempt
	l.query(ctx, func(ctx context.Context) error {
		return l.client.Del(ctx,
			l.redisKey(verifiedKey, a.hash)).Err()
	})
	l.Take(ctx, l.Failures, a.network)
}

// Unknown ends an attempt without a result, or with a single-use credential.
func (a *Attempt) Unknown(ctx context.Context) {
	if a.reserved {
		a.limiter.GiveBack(ctx, a.limiter.Failures, a.network)
		a.reserved = false
	}
}

// Ended ends an attempt with the result err: Failed for KindUnauthorized, and Unknown otherwise.
func (a *Attempt) Ended(ctx context.Context, err error) {
	if controlplane.IsKind(err, controlplane.KindUnauthorized) {
		a.Failed(ctx)
		return
	}
	a.Unknown(ctx)
}

// verifiedElsewhere reports whether another process, or this one before a restart, verified the
// credential recently.
func (l *Limiter) verifiedElsewhere(ctx context.Context, hash string) bool {
	found := false
	l.query(ctx, func(ctx context.Context) error {
		n, err := l.client.Exists(ctx, l.redisKey(verifiedKey, hash)).Result()
		found = n > 0
		return err
	})
	return found
}
