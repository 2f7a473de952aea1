package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres/postgrestest"
)

func TestTryLockedRunsInOneReplica(t *testing.T) {
	t.Parallel()
	d := open(t)
	replica := d.replica()
	inside, leave, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ran, err := d.TryLocked(context.Background(),
			"sweep", func(context.Context) error { close(inside); <-leave; return nil })
		if err == nil && !ran {
			err = fmt.Errorf("it did not run")
		}
		done <- err
	}()
	soon(t, "the first to run", inside)
	never := func(context.Context) error { t.Error("two run at once"); return nil }
	for _, s := range []*postgres.Store{d.Store, replica} {
		if ran, err := s.TryLocked(t.Context(), "sweep", never); ran || err != nil {
			t.Errorf("TryLocked while another holds the lock = %v, %v, want false", ran, err)
		}
	}
	other := false
	if ran, err := replica.TryLocked(t.Context(),
		"scan", func(context.Context) error { other = true; return nil }); !ran || !other ||
		err != nil {
		t.Errorf("a lock of another name: %v, %v", ran, err)
	}
	close(leave)
	d.must(soon(t, "the first to end", done))
	// The lock is released even if the caller's context was canceled meanwhile.
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := d.TryLocked(ctx, "sweep",
		func(context.Context) error { cancel(); return ctx.Err() }); err == nil {
		t.Error("the error of what ran is lost")
	}
	if ran, err := replica.TryLocked(t.Context(),
		"sweep", func(context.Context) error { return nil }); !ran || err != nil {
		t.Errorf("afterwards: %v, %v", ran, err)
	}
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !check(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 30 s for %s", what)
		}
	}
}

// A process that holds a lease is lost without a trace: another one takes over when the lease
// expires, and not while it is extended.
func TestTryLockedAfterALoss(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.SetLeaseTime(3 * time.Second)
	dsn, relay := postgrestest.SilentDSN(t, d.dsn)
	lost, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, MaxConns: 2})
	d.must(err)
	t.Cleanup(lost.Close)
	lost.SetLeaseTime(3 * time.Second)
	inside, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := lost.TryLocked(t.Context(), "sweep", func(ctx context.Context) error {
			close(inside)
			<-ctx.Done()
			return ctx.Err()
		})
		ended <- err
	}()
	soon(t, "the first to run", inside)
	first := value[string](d, `SELECT expires_at::text FROM leases`)
	eventually(t, "an extension", func() bool {
		return value[string](d, `SELECT expires_at::text FROM leases`) != first
	})
	relay.Drop()
	if err := soon(t, "the work to end", ended); err == nil {
		t.Error("TryLocked() after the loss of the database = nil, want an error")
	}
	eventually(t, "another process to take over", func() bool {
		ran, err := d.TryLocked(t.Context(), "sweep", func(context.Context) error { return nil })
		d.must(err)
		return ran
	})
	if at, err := d.Finished(t.Context(), "sweep"); err != nil || at.IsZero() {
		t.Errorf("Finished() = %v, %v, want the time of the second run", at, err)
	}
	if at, err := d.Finished(t.Context(), "never"); err != nil || !at.IsZero() {
		t.Errorf("Finished(never) = %v, %v, want the zero time", at, err)
	}
}
