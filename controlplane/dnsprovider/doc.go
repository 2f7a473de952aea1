// Package dnsprovider creates and removes CNAME records at customers' DNS hosts, one file per host.
// Each call makes one attempt and returns its result, with a *controlplane.HostError for everything
// that the host answers. Package lifecycle decides when to call it and what follows. Because
// customers choose the hosts, it connects only to the public Internet (package publicnet).
//
//   - hosts.go chooses the host of a connection's type.
//   - rfc2136.go uses dynamic updates (RFC 2136) with TSIG (RFC 8945).
//   - rfc2136_exchange.go exchanges signed messages with a name server.
//   - rfc2136_records.go reads what a name server has at a name.
package dnsprovider
