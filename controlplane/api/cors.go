package api

import (
	"maps"
	"net/http"
	"slices"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane/edge"
)

// exposedHeaders are the headers of responses that pages of other origins can read, in addition to
// those that browsers always expose.
var exposedHeaders = []string{"Allow", "Content-Disposition", "DCVaaS-API",
	"DCVaaS-Organization", "Deprecation", "ETag", "Idempotency-Replayed", "Link", "Location",
	"RateLimit", "RateLimit-Policy", "Request-Id", "Retry-After", "Sunset", "WWW-Authenticate"}

// newCORS lets pages of the origins call every operation of the contract.
func newCORS(origins []string, table map[string]*operation) (*edge.CORS, error) {
	methods := map[string]bool{http.MethodHead: true}
	headers := map[string]bool{"Authorization": true, "Content-Type": true, "Request-Id": true}
	for _, op := range table {
		methods[op.method] = true
		for name := range op.headers {
			headers[name] = true
		}
	}
	return edge.NewCORS(origins, slices.Sorted(maps.Keys(methods)),
		slices.Sorted(maps.Keys(headers)), exposedHeaders)
}

// sameOrigin returns an error if a request with a session cookie comes from a page of another
// origin. It also checks requests that change nothing: the cookie is never accepted cross-origin.
func (a *API) sameOrigin(r *http.Request) error {
	unsafe := *r
	unsafe.Method = http.MethodPost
	return a.origins.Check(&unsafe)
}
