package program

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/postgres"
)

// exitSetup is the exit status if no start succeeds until a setting is changed, of this program or
// of Postgres or Redis. It is EX_CONFIG of sysexits.h.
const exitSetup = 78

// misconfigured is the state of a server that rejects the settings.
const misconfigured = "misconfigured"

// setupError returns err as an error that names the setting that it is about, if err cannot pass
// without a change of a setting. Otherwise, it returns nil.
func setupError(err error) error {
	if _, ok := errors.AsType[*settingError](err); ok || isMismatch(err) {
		return err
	}
	if e := postgres.SetupErrorOf(err); e != nil {
		return &settingError{"database-url (DCVAAS_DATABASE_URL)", e}
	}
	if e, ok := errors.AsType[*controlplane.SetupError](err); ok {
		return &settingError{"redis-url (DCVAAS_REDIS_URL)", e}
	}
	return nil
}

// settingError is a SetupError with the setting that it is about.
type settingError struct {
	setting string
	err     *controlplane.SetupError
}

// Error implements error.
func (e *settingError) Error() string { return e.setting + ": " + e.err.Error() }

// Unwrap returns the SetupError.
func (e *settingError) Unwrap() error { return e.err }

// redisSetups are the causes and fixes of the errors that Redis returns until a setting is changed.
var redisSetups = []struct {
	is         func(error) bool
	cause, fix string
}{
	{redis.IsAuthError, "rejects the user or the password",
		"Correct the user and the password in the URL."},
	{redis.IsPermissionError, "denies the user a command or a key",
		"Allow the user all commands on the keys asynq:*, dcvaas:*, and rate:*."},
	{func(err error) bool { return redis.HasErrorPrefix(err, "DB index is out of range") },
		"does not have the database", "Correct the number at the end of the URL, such as 0."},
	{func(err error) bool { return redis.HasErrorPrefix(err, "DENIED") },
		"runs in protected mode", "Set a password in Redis and in the URL."},
}

// redisError returns err as a *controlplane.SetupError if it cannot pass without a change of a
// setting, and otherwise an error that describes the outage.
func (a *App) redisError(err error) error {
	cause, fix := controlplane.ConnectionSetup(err)
	for _, s := range redisSetups {
		if cause == "" && s.is(err) {
			cause, fix = s.cause, s.fix
		}
	}
	if cause == "" {
		return &redisOutage{err}
	}
	return &controlplane.SetupError{Server: "Redis at " + a.redis.Options().Addr, Cause: cause,
		Fix: fix, Err: err}
}

// redisOutage is an error of Redis that can pass without a change.
type redisOutage struct{ err error }

// Error implements error.
func (e *redisOutage) Error() string { return "redis: " + e.err.Error() }

// Unwrap returns the error of the client.
func (e *redisOutage) Unwrap() error { return e.err }

// cause describes the outage as a clause without addresses.
func (e *redisOutage) cause() string {
	for _, known := range []struct {
		is    func(error) bool
		cause string
	}{
		{redis.IsLoadingError, "is loading its data"},
		{redis.IsReadOnlyError, "cannot write: it is read-only"},
		{redis.IsOOMError, "cannot write: its memory is full"},
		{func(err error) bool { return redis.HasErrorPrefix(err, "MISCONF") },
			"cannot write: it fails to store data on its disk"},
		{redis.IsMaxClientsError, "has no free connections"},
		{redis.IsMasterDownError, "has lost its primary"},
	} {
		if known.is(e.err) {
			return known.cause
		}
	}
	if r, ok := errors.AsType[redis.Error](e.err); ok {
		code, _, _ := strings.Cut(r.Error(), " ")
		return "reports an error: " + code
	}
	return controlplane.ConnectionOutage(e.err)
}

// describe returns why a part is not ready, for anyone who can reach the operator listener: without
// addresses and names. Its first word distinguishes an outage from a setting that must be changed.
func describe(err error) string {
	if e, ok := errors.AsType[*controlplane.SetupError](err); ok {
		return misconfigured + ": " + e.Cause
	}
	if e, ok := errors.AsType[*redisOutage](err); ok {
		return "unavailable: " + e.cause()
	}
	if cause := postgres.Outage(err); cause != "" {
		return "unavailable: " + cause
	}
	return err.Error()
}

// checkRedisOnce checks Redis at the start of the process, if it uses Redis.
func (a *App) checkRedisOnce(ctx context.Context) error {
	if a.redis == nil {
		return nil
	}
	return a.checkRedis(ctx)
}

// retryRedis checks Redis, which was unavailable at the start, until it is available. If Redis then
// rejects the settings, the process stops. Later, /readyz and the log report that.
func (a *App) retryRedis() {
	for a.watching.Err() == nil {
		ctx, cancel := context.WithTimeout(a.watching, readyTimeout)
		err := a.checkRedis(ctx)
		cancel()
		if setup := setupError(err); setup != nil {
			a.fail(setup)
			return
		}
		if _, outage := errors.AsType[*redisOutage](err); !outage {
			return
		}
		select {
		case <-a.watching.Done():
		case <-time.After(time.Second):
		}
	}
}
