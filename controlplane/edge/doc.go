// Package edge holds what the API and the dashboard share where requests come in: the client's address and network, the
// rate limits that are checked before a query or an outgoing call, the count of open streams, the check of the Host
// header, and lookups at GitHub. cmd makes one of each for the process and gives it to both. It never imports either of
// them, nor the store.
package edge
