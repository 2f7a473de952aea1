package postgres

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// A statement that waits for a row keeps its connection, and all organizations share the
// connections. So a wait for a row that the work of one organization may keep locked is short. If
// it does not suffice, the connection is returned, and the work is repeated after a pause.
const (
	lockTime     = 3 * time.Second        // longest wait of a statement for any lock
	rowTime      = 100 * time.Millisecond // longest wait for a domain, with a connection
	lockPatience = 15 * time.Second       // longest wait for a domain, with pauses
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
)

// errLocked says that another transaction has locked the row for longer than rowTime.
var errLocked = errors.New("postgres: the row is locked")

// lockDomain returns a locked domain. It returns errLocked if the domain stays locked by others.
func (t *Tx) lockDomain(ctx context.Context, orgID, ref string) (*controlplane.Domain, error) {
	d, err := t.domain(ctx, orgID, ref, " FOR NO KEY UPDATE SKIP LOCKED")
	if !controlplane.IsKind(err, controlplane.KindNotFound) {
		return d, err
	}
	if _, err = t.domain(ctx, orgID, ref, ""); err != nil {
		return nil, err
	}
	wait := rowTime
	if t.part {
		wait = lockTime
	}
	if err := t.limitLockTime(ctx, wait); err != nil {
		return nil, err
	}
	if d, err = t.domain(ctx, orgID, ref, " FOR NO KEY UPDATE"); err != nil {
		if pe, ok := errors.AsType[*pgconn.PgError](err); ok && pe.Code == lockNotAvailable {
			err = unavailable(errors.Join(errLocked, err))
		}
		return nil, err
	}
	return d, t.limitLockTime(ctx, lockTime)
}

// lockNotAvailable is Postgres' code for a wait that lock_timeout has ended.
const lockNotAvailable = "55P03"

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// limitLockTime limits each later wait of the transaction for a lock.
func (t *Tx) limitLockTime(ctx context.Context, d time.Duration) error {
	_, err := t.db.Exec(ctx, `SELECT set_config('lock_timeout', $1, true)`, milliseconds(d))
	return translate(err, "", "")
}

// unlessLocked calls fn, and calls it again after a pause while it returns errLocked, for up to
// lockPatience. Between the calls, it holds no connection.
func unlessLocked(ctx context.Context, fn func() error) error {
	pause, end := firstPause, time.Now().Add(lockPatience)
	for {
		err := fn()
		if !errors.Is(err, errLocked) || time.Now().After(end) {
			return err
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, longestPause)
	}
}

func wait(ctx context.Context, pause time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}
