package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"
)

// SetupError says that Postgres or Redis cannot be used until a setting of this program or of the
// server is changed. An outage, which passes without a change, is not a SetupError. No field
// contains a password.
type SetupError struct {
	Server string // such as "Postgres at 127.0.0.1:5432"
	Cause  string // what the server does, such as "rejects the password"; contains no address
	Fix    string // an imperative
	Err    error
}

// Error returns the server, the cause, and the fix. It is for operators.
func (e *SetupError) Error() string {
	s := e.Server + " " + e.Cause
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s + "; " + strings.ToLower(e.Fix[:1]) + strings.TrimSuffix(e.Fix[1:], ".")
}

// Unwrap returns the error of the driver.
func (e *SetupError) Unwrap() error { return e.Err }

// ConnectionSetup returns the cause and the fix of a SetupError if err is about the host's name or
// about TLS, and empty strings otherwise.
func ConnectionSetup(err error) (cause, fix string) {
	if d, ok := errors.AsType[*net.DNSError](err); ok && d.IsNotFound {
		return "has an unknown host name", "Correct the host in the URL."
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "does not use TLS", "Enable TLS on the server, or use a URL without TLS."
	}
	if isCertificate(err) {
		return "has a TLS certificate that is not trusted",
			"Use a certificate for the host in the URL, from a CA that this machine trusts."
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return "refuses the TLS handshake", "Correct the TLS settings of the server or in the URL."
	}
	return "", ""
}

func isCertificate(err error) bool {
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return verification || authority || host || invalid
}

// ConnectionOutage describes a failed connection as a clause without addresses.
func ConnectionOutage(err error) string {
	timeout, isNet := errors.AsType[net.Error](err)
	_, isName := errors.AsType[*net.DNSError](err)
	switch {
	case isName:
		return "has a host name that cannot be resolved"
	case errors.Is(err, context.DeadlineExceeded) || isNet && timeout.Timeout():
		return "does not respond in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refuses connections"
	}
	return "is unreachable"
}
