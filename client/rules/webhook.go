package rules

import (
	"encoding/base64"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// WebhookSecretPrefix starts the secret of a webhook (Standard Webhooks, "Symmetric").
const WebhookSecretPrefix = "whsec_"

// MaxWebhookEvents is how many event types a request can list, duplicates included.
const MaxWebhookEvents = 64

const (
	minWebhookSecretBytes = 24
	maxWebhookSecretBytes = 64
)

// hostProfile maps the host of a webhook's URL. It is less strict than profile, because no
// certificate is issued for the host.
var hostProfile = idna.New(idna.MapForLookup(), idna.StrictDomainName(true),
	idna.VerifyDNSLength(true))

// WebhookKey returns the HMAC key in a webhook's secret: 24 to 64 bytes, as Standard Webhooks
// requires. It returns an *Error, which contains nothing of the secret.
func WebhookKey(secret string) ([]byte, error) {
	if err := checkLength(secret, 1, MaxWebhookSecret); err != nil {
		return nil, err
	}
	text, ok := strings.CutPrefix(secret, WebhookSecretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < minWebhookSecretBytes || len(key) > maxWebhookSecretBytes {
		return nil, &Error{Code: "webhook-secret", Message: "The secret is malformed.",
			Fix: `Use "whsec_" followed by 24 to 64 bytes in base64, for example from: printf whsec_; openssl rand -base64 32`}
	}
	return key, nil
}

// CheckWebhookURL returns an *Error if events can't be sent to a URL. It must be https on the
// public Internet, on port 443 or a port of at least 1024, where system services don't listen.
// Whether the host resolves to public addresses is checked only on connect. If loopback is set,
// for development, http and https URLs with a loopback host are valid on any port. The error
// contains nothing of the URL, which may contain a secret.
func CheckWebhookURL(raw string, loopback bool) error {
	bad := func(message, fix string) error {
		return &Error{Code: "webhook-url", Message: message, Fix: fix}
	}
	if err := checkLength(raw, 1, MaxWebhookURL); err != nil {
		return err
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return bad("The URL is malformed or has no host.",
			"Use a URL such as https://example.com/hooks/dcvaas.")
	case u.User != nil:
		return bad("The URL contains a username or password.",
			"Remove it: the signature authenticates deliveries.")
	case strings.Contains(raw, "#"):
		return bad("The URL has a fragment, which is never sent.",
			"Remove the # and everything after it.")
	}
	local := loopback && IsLoopbackHost(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return bad("The URL is not https.",
			"Serve the receiver over https, with a certificate from a public CA.")
	}
	if local {
		return nil
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n != 443 && n < 1024 || n > 65535 {
			return bad("The URL has a port that is not allowed.",
				"Use port 443, or a port from 1024 to 65535.")
		}
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		if IsPublicAddr(a) {
			return nil
		}
		return bad("The URL's host is not on the public Internet.",
			"Use a host that is reachable from the Internet; to reach a private network, put a receiver in front of it.")
	}
	ascii, err := hostProfile.ToASCII(strings.TrimSuffix(u.Hostname(), "."))
	if err != nil {
		return bad("The URL's host is not a valid name.", "Check its spelling.")
	}
	if last := lastLabel(ascii); last == ascii || isNumeric(last) ||
		slices.Contains(specialUse, last) {
		return bad("The URL's host is not a name on the public Internet.",
			"Use a name that resolves everywhere.")
	}
	return nil
}

// IsLoopbackHost reports whether the host of a URL is this machine: a loopback address, localhost,
// or a name below it (RFC 6761 §6.3).
func IsLoopbackHost(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
