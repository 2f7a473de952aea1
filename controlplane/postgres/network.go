package postgres

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// isNetwork reports whether err is the loss of a connection and not an error from the server.
func isNetwork(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED) ||
		errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err) ||
		strings.Contains(err.Error(), "conn closed")
}

// violates returns the name of the constraint that err reports as violated, or "".
func violates(err error) string {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && (pe.Code == "23505" ||
		pe.Code == "23503" || pe.Code == "23514") {
		return pe.ConstraintName
	}
	return ""
}
