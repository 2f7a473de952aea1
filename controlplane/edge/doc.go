// Package edge implements what the API and the dashboard share at the HTTP edge: request IDs, the
// client's address and network, rate limits, verification of credentials, sessions, origin checks,
// cursors of lists, event streams, error statuses, panic recovery, the check of the Host header,
// and lookups at GitHub. cmd creates the parts that a process shares (Limiter, Streams) and passes
// them to both. Package edge never imports either of them, nor the store.
package edge
