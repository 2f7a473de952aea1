// Package dnsserver is the authoritative name server of the validation zone. It serves the TXT
// values of live ACME challenges at {label}.{zone}, over UDP and TCP.
//
// `dcvaas dns` runs it. Its content comes from a Source, which streams a snapshot and then every
// change into memory. A target whose state in memory may be outdated is looked up in the Source,
// within a budget. Common questions are answered from pre-packed bytes (fast.go), all others by
// miekg/dns (slow.go). Both return the same answers. The server does not resolve names, does not
// support zone transfers, and does not write to the Source.
package dnsserver
