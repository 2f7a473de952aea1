package acme

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// maxLink is the longest link that is shown. The link contains a token with the paused names.
const maxLink = 4000

var webAddress = regexp.MustCompile(`https?://[^\s"<>]+`)

// isPause reports whether a rateLimited problem says that the CA has paused orders of the account
// for a name, until a person unpauses them. Let's Encrypt does so after many failed validations. It
// uses the type rateLimited without Retry-After, and links to its unpause page.
func (p problem) isPause() bool {
	return strings.Contains(p.Detail, "temporarily prevented from requesting certificates") ||
		strings.Contains(webAddress.FindString(p.Detail), "/unpause")
}

// pause returns the CA's text, and the fix of a pause. The link to unpause the names is part of the
// fix if it leads to the CA. Otherwise it remains text.
func (p problem) pause(ca CA) (text, fix string) {
	text = p.text()
	link := webAddress.FindString(text)
	if link == "" || !ca.owns(link) || len(link) > maxLink {
		return text, controlplane.FixOf("ca-paused")
	}
	text, _, _ = strings.Cut(text, link)
	text = strings.TrimSuffix(strings.TrimRight(text, ": "), " Please visit")
	return strings.TrimSuffix(text, "."), "Fix the cause of the failed validations, unpause the names at " + link +
		" (the link expires), and then retry the job or request the certificate again."
}

// owns reports whether a link is an https URL at the CA's host, or at a host of the same registered
// domain.
func (ca CA) owns(link string) bool {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" || u.User != nil {
		return false
	}
	home, err := url.Parse(ca.DirectoryURL)
	if err != nil {
		return false
	}
	host, own := strings.ToLower(u.Hostname()), strings.ToLower(home.Hostname())
	if host == own {
		return own != ""
	}
	_, noName := netip.ParseAddr(own)
	return noName != nil &&
		controlplane.RegisteredDomain(host) == controlplane.RegisteredDomain(own)
}
