// Package controlplane holds the types of DCVaaS and their pure rules: domains, jobs, certificates,
// orders, organizations with their members and tokens, webhooks, and the audit log. It also holds
// the catalogs: codes, condition and job types, actions, and alerts. Every other package of the
// control plane imports it. It imports only the standard library, golang.org/x, the TypeID library,
// and client/rules. It does no I/O and keeps no state.
package controlplane
