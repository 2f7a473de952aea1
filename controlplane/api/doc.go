// Package api serves the REST API: it authenticates, holds requests to the contract in
// openapi.yaml, and turns HTTP into calls of lifecycle and the store and their results and
// errors back into HTTP. cmd mounts it; it decides nothing about domains, jobs or
// certificates, and never reaches past lifecycle to change one.
//
// A request's path: ServeHTTP (request id, log, metrics, recovery) → mux → guard (token or
// session, rate limit, scope, parameters, body) → once, where there is an Idempotency-Key →
// generated binding → the handler of the noun → one response, or an error that problem turns
// into a problem document.
package api
