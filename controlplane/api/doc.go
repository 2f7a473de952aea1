// Package api serves the REST API: it authenticates callers, validates requests against the
// contract in openapi.yaml, calls lifecycle and the store, and converts their results and errors to
// HTTP responses. cmd mounts it. It makes no decisions about domains, jobs, or certificates, and
// changes them only through lifecycle.
//
// The path of a request: ServeHTTP (request ID, log, metrics, panic recovery) → mux → guard (token
// or session, rate limit, scope, parameters, body) → once, if it has an Idempotency-Key → generated
// binding → handler of the object type → one response, or an error that problem converts to a
// problem document.
package api
