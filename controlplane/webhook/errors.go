package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/publicnet"
)

// describe returns the reason why no response was received. It never contains a resolved address or
// a resolver's address, because both may belong to the internal network.
func describe(err error) string {
	var lookup *net.DNSError
	var network net.Error
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, publicnet.ErrNotPublic):
		return "The host is not on the public Internet, so no connection was made."
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return "The host does not exist in DNS."
	case errors.As(err, &lookup):
		return "The DNS lookup of the host failed."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "The request timed out."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Connection refused."
	case isCertificate(err):
		return "Invalid certificate: " + certificateFault(err) + "."
	case errors.As(err, &record):
		return "The host does not use TLS on this port."
	case isAlert(err):
		return "The TLS handshake failed: TLS 1.2 or 1.3 is required."
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF):
		return "The connection was closed before a response was received."
	case strings.Contains(err.Error(), "malformed HTTP"),
		strings.Contains(err.Error(), "server response headers exceeded"):
		return "The response is not HTTP/1.1 with headers of at most 64 KiB."
	}
	return "The connection failed."
}

func isCertificate(err error) bool {
	var verify *tls.CertificateVerificationError
	return errors.As(err, &verify)
}

func certificateFault(err error) string {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &host):
		return "it is not valid for this name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it has expired or is not valid yet"
	case errors.As(err, &unknown):
		return "it was not issued by a trusted CA, or the server sends an incomplete chain"
	}
	return "its chain could not be verified"
}

func isAlert(err error) bool {
	var alert tls.AlertError
	return errors.As(err, &alert) || strings.Contains(err.Error(), "tls: ")
}
