package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// Postgres' codes for errors that are named elsewhere, too.
const (
	diskFull           = "53100"
	readOnly           = "25006"
	insufficientRights = "42501"
)

// rejections are the causes and fixes of the errors that a server returns until a setting is
// changed, by code.
var rejections = map[string]struct{ cause, fix string }{
	"28P01": {"rejects the role or its password",
		"Correct the role and the password in the URL, or create the role."},
	"28000": {"does not let the role log in",
		"Correct the role in the URL, create it with LOGIN, or allow it in pg_hba.conf."},
	"3D000": {"does not have the database",
		"Correct the database in the URL, or create it with the role as its owner."},
	insufficientRights: {"denies the role a right",
		"Make the role the owner of the database and of its tables, or grant it the right."},
	// of poolers, for a setting of the session that they do not pass
	"08P01": {"rejects the settings of a session",
		"Connect to Postgres directly, or configure the connection pooler to accept these settings."},
	"42704": {"does not know a setting of a session", "Use a supported version of Postgres."},
}

// SetupErrorOf returns why Postgres can't be used until a setting is changed. It returns nil for an
// outage and for any other error.
func SetupErrorOf(err error) *controlplane.SetupError {
	if err == nil {
		return nil
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && pe.Code == insufficientRights {
		return rejected("Postgres", pe)
	}
	ce, ok := errors.AsType[*pgconn.ConnectError](err)
	if !ok {
		return nil
	}
	server := serverOf(ce.Config)
	var found *controlplane.SetupError
	for _, attempt := range attempts(ce) {
		if pe, ok := errors.AsType[*pgconn.PgError](attempt); ok {
			if e := rejected(server, pe); e != nil {
				return e // other hosts have the same roles and databases
			}
		}
		cause, fix := controlplane.ConnectionSetup(attempt)
		if strings.Contains(attempt.Error(), "server refused TLS connection") {
			cause, fix = "does not use TLS",
				"Enable TLS on the server, or set sslmode in the URL."
		}
		if cause == "" {
			return nil // this host can become available
		}
		found = &controlplane.SetupError{Server: server, Cause: cause, Fix: fix, Err: attempt}
	}
	return found
}

func rejected(server string, pe *pgconn.PgError) *controlplane.SetupError {
	r, ok := rejections[pe.Code]
	if !ok {
		return nil
	}
	return &controlplane.SetupError{Server: server, Cause: r.cause, Fix: r.fix, Err: pe}
}

// serverOf names the servers of a configuration.
func serverOf(c *pgconn.Config) string {
	var hosts []string
	add := func(host string, port uint16) {
		_, address := pgconn.NetworkAddress(host, port)
		if len(hosts) == 0 || hosts[len(hosts)-1] != address { // with and without TLS
			hosts = append(hosts, address)
		}
	}
	add(c.Host, c.Port)
	for _, f := range c.Fallbacks {
		add(f.Host, f.Port)
	}
	return fmt.Sprintf("Postgres at %s (role %s, database %s)", strings.Join(hosts, ", "), c.User,
		c.Database)
}

// several is an error that joins others.
type several interface {
	error
	Unwrap() []error
}

// attempts returns the error of each attempt to connect.
func attempts(err error) []error {
	joined, ok := errors.AsType[several](err)
	if !ok {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, attempts(one)...)
	}
	return all
}

// Outage describes why Postgres is unavailable, as a clause without addresses. It returns "" for an
// error that is not an outage.
func Outage(err error) string {
	if err == nil || !controlplane.IsKind(err, controlplane.KindUnavailable) {
		return ""
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pe.Code {
		case diskFull:
			return "cannot write: its disk is full"
		case readOnly:
			return "cannot write: it is read-only"
		case "57P03":
			return "is starting up or shutting down"
		case "57P01", "57P02":
			return "was shut down"
		case "53300":
			return "has no free connections"
		}
		return "reports an error: SQLSTATE " + pe.Code
	}
	return controlplane.ConnectionOutage(err)
}
