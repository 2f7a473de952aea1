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
)

// describe says why no answer came. It never tells what a name resolved to, nor which
// resolver was asked: both may be of our own network.
func describe(err error) string {
	var lookup *net.DNSError
	var network net.Error
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, errNotPublic):
		return "The host is not on the public Internet, so it was not connected to."
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return "The host does not exist in DNS."
	case errors.As(err, &lookup):
		return "The host could not be looked up in DNS."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "No answer came in time."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "The connection was refused."
	case isCertificate(err):
		return "The certificate of the host is not valid: " + certificateFault(err) + "."
	case errors.As(err, &record):
		return "The host does not speak TLS at this port."
	case isAlert(err):
		return "The TLS handshake failed: TLS 1.2 or 1.3 is needed."
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "The connection was closed before an answer came."
	case strings.Contains(err.Error(), "malformed HTTP"), strings.Contains(err.Error(), "server response headers exceeded"):
		return "What came was not an answer of HTTP/1.1 with headers of at most 64 KiB."
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
		return "it is not for this name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it has expired or is not valid yet"
	case errors.As(err, &unknown):
		return "no CA that is trusted has issued it, or the chain is not sent whole"
	}
	return "its chain cannot be verified"
}

func isAlert(err error) bool {
	var alert tls.AlertError
	return errors.As(err, &alert) || strings.Contains(err.Error(), "tls: ")
}
