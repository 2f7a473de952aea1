package dashboard

import (
	"net/http"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// setHeaders sets the headers of every response. Pages load nothing from other hosts, cannot be
// framed, and run only scripts with their nonce. The referrer policy keeps the Origin header of
// the dashboard's forms, which the cross-origin check needs in browsers without Sec-Fetch-Site.
func setHeaders(h http.Header, v *visit) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+v.nonce+
		"' 'self'; style-src 'self'; img-src 'self'; "+
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", referrerPolicy(v.URL.Path))
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("Request-Id", v.id)
}

// referrerPolicy returns the Referrer-Policy of a page. The URL of an invitation contains its
// secret, so its page sends only the origin, even to the dashboard: proxies may log the header.
func referrerPolicy(path string) string {
	if strings.HasPrefix(path, controlplane.InvitationPath("")) {
		return "strict-origin"
	}
	return "same-origin"
}
