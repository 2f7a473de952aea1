// Package edge holds what the API and the dashboard share at the HTTP edge: request IDs, the
// client's address and network, rate limits, verification of credentials, sessions, origin checks,
// cursors of lists, event streams, statuses of errors, panic recovery, the check of the Host header,
// and lookups at GitHub. cmd creates what is shared by the process (Limiter, Streams) and gives it
// to both. Package edge never imports either of them, nor the store.
package edge
