package controlplane

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

const maxWebhookURL = 2048

// CheckWebhookURL makes sure that an address has the form of one that events may be sent to:
// https on the public Internet, on port 443 or one from 1024 on, where no system service
// listens. Whether its host is public is known only when it is connected to. For development,
// loopback also allows http and hosts of this machine. Errors: KindInvalid about /url.
func CheckWebhookURL(raw string, loopback bool) error {
	why, fix := webhookURLFault(raw, loopback)
	if why == "" {
		return nil
	}
	return Invalid("/url", "webhook-url", why, fix)
}

func webhookURLFault(raw string, loopback bool) (why, fix string) {
	const example = "Send an address such as https://example.com/hooks/dcvaas."
	u, err := url.Parse(raw)
	switch {
	case len(raw) > maxWebhookURL:
		return "The address has more than 2048 bytes.", "Shorten it."
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return "The address cannot be read as a URL with a host.", example
	case u.User != nil:
		return "The address holds a user name or password.", "Leave it out: deliveries prove where they come from by their signature."
	case strings.Contains(raw, "#"):
		return "The address has a fragment, which is never sent.", "Leave out the # and what follows it."
	}
	local := loopback && isLoopback(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return "The address is not https.", "Serve the receiver by https, with a certificate that a public CA has issued."
	}
	if local {
		return "", ""
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n != 443 && n < 1024 || n > 65535 {
			return "The address has a port that events are not sent to.", "Use port 443, or one from 1024 to 65535."
		}
	}
	return webhookHostFault(u.Hostname())
}

func webhookHostFault(host string) (why, fix string) {
	if a, err := netip.ParseAddr(host); err == nil {
		if IsPublicAddr(a) {
			return "", ""
		}
		return "The address is not on the public Internet.", "Send one that can be reached from the Internet; a private network needs a receiver in front of it."
	}
	ascii, err := idna.New(idna.MapForLookup(), idna.StrictDomainName(true), idna.VerifyDNSLength(true)).ToASCII(strings.TrimSuffix(host, "."))
	if err != nil {
		return "The host is not a valid name.", "Check its spelling."
	}
	if last := lastLabel(ascii); last == ascii || isSpecialUse(last) || strings.Trim(last, "0123456789") == "" {
		return "The host is no name of the public Internet.", "Send a name that everyone can resolve."
	}
	return "", ""
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
