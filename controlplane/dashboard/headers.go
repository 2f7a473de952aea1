package dashboard

import (
	"net/http"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// setHeaders sets what every answer carries. Nothing is taken from another host, nothing is
// framed, and only scripts of this very page run. The referrer policy leaves the Origin of
// our own forms in place, by which browsers without Sec-Fetch-Site are told apart.
func setHeaders(h http.Header, v *visit) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+v.nonce+"' 'self'; style-src 'self'; img-src 'self'; "+
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", referrerPolicy(v.URL.Path))
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("Request-Id", v.id)
}

// referrerPolicy returns what a page's requests say of where they come from. Those of an
// invitation, whose address holds its secret, name the host alone, also to us: servers in
// between may log it.
func referrerPolicy(path string) string {
	if strings.HasPrefix(path, controlplane.InvitationPath("")) {
		return "strict-origin"
	}
	return "same-origin"
}
