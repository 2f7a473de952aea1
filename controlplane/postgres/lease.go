package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
)

// leaseTime is how long a lease is valid after it was taken or extended: another process takes over
// the work of a lost one after it.
const leaseTime = 30 * time.Second

// errLeaseLost is the cause with which the context of work ends whose lease was not extended.
var errLeaseLost = errors.New("postgres: the lease could not be extended")

// lease is a held lease. Another process takes it after it expires.
type lease struct {
	store  *Store
	name   string
	holder string
	taken  time.Time // or extended, by the local clock, before the statement was sent
}

// TryLocked runs fn while this process holds the lease of the given name. It returns false without
// running fn if another process holds the lease. The context of fn ends before the lease expires if
// the database does not extend it: then another process may run its fn.
func (s *Store) TryLocked(
	ctx context.Context, name string, fn func(context.Context) error,
) (bool, error) {
	l, err := s.takeLease(ctx, name)
	if err != nil || l == nil {
		return false, err
	}
	held, lose := context.WithCancelCause(ctx)
	extending := make(chan struct{})
	go func() {
		defer close(extending)
		l.extend(held, lose)
	}()
	err = fn(WithLimit(held, LongLimit))
	if errors.Is(context.Cause(held), errLeaseLost) {
		err = unavailable(errors.Join(errLeaseLost, err))
	}
	lose(nil)
	<-extending
	l.release(ctx, err == nil)
	return true, err
}

// takeLease returns the lease, nil if another process holds it.
func (s *Store) takeLease(ctx context.Context, name string) (*lease, error) {
	l := &lease{store: s, name: name, holder: rand.Text(), taken: time.Now()}
	tag, err := s.pool.Exec(ctx, `
		INSERT INTO leases AS l (name, holder, expires_at) VALUES (@name, @holder, clock_timestamp() + @time)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
		WHERE l.expires_at <= clock_timestamp()`,
		named{"name": name, "holder": l.holder, "time": s.leaseTime})
	if err != nil || tag.RowsAffected() == 0 {
		return nil, translate(err, "", "")
	}
	return l, nil
}

// extend extends the lease three times per lease time until ctx ends. It calls lose before the
// lease expires if it could not be extended.
func (l *lease) extend(ctx context.Context, lose context.CancelCauseFunc) {
	each := l.store.leaseTime / 3
	for pause := each; wait(ctx, pause) == nil; {
		now, end := time.Now(), l.taken.Add(l.store.leaseTime-each/2)
		attempt, cancel := context.WithDeadline(ctx, earlier(now.Add(each), end))
		tag, err := l.store.pool.Exec(attempt, `
			UPDATE leases SET expires_at = clock_timestamp() + @time WHERE name = @name AND holder = @holder`,
			named{"name": l.name, "holder": l.holder, "time": l.store.leaseTime})
		cancel()
		switch {
		case err == nil && tag.RowsAffected() == 1:
			l.taken, pause = now, each
		case err == nil || !time.Now().Before(end):
			lose(errLeaseLost)
			return
		default:
			pause = each / 10
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// release makes the lease available, and records when its work was finished. If it fails, the lease
// expires.
func (l *lease) release(ctx context.Context, finished bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := l.store.pool.Exec(ctx, `
		UPDATE leases SET expires_at = '-infinity', finished_at = CASE WHEN @finished THEN clock_timestamp() ELSE finished_at END
		WHERE name = @name AND holder = @holder`,
		named{"name": l.name, "holder": l.holder, "finished": finished}); err != nil {
		l.store.logger.WarnContext(ctx, "postgres: releasing a lease failed; it expires",
			"lease", l.name, "error", err)
	}
}

// Finished returns when the work of TryLocked with the given name was last finished without an
// error, by any process. It returns the zero time if it never was.
func (s *Store) Finished(ctx context.Context, name string) (time.Time, error) {
	var at *time.Time
	err := s.pool.QueryRow(ctx, `SELECT max(finished_at) FROM leases WHERE name = $1`, name).
		Scan(&at)
	if err != nil || at == nil {
		return time.Time{}, translate(err, "", "")
	}
	return *at, nil
}
