// Package dnsserver is the authoritative name server of the validation zone: it answers the
// TXT values of live ACME challenges at {label}.{zone}, over UDP and TCP.
//
// `dcvaas dns` runs it. Its content comes from a Source, which streams a snapshot and then
// every change into memory; a target that memory cannot vouch for is read through, within a
// budget. Plain questions are answered from hand-packed bytes (fast.go), everything unusual
// by miekg/dns (slow.go); both give the same answers. It never resolves, never transfers the
// zone and never writes anywhere.
package dnsserver
