// Package controlplane holds the nouns of DCVaaS and their pure rules: domains, jobs,
// certificates, orders, organizations with their people and tokens, webhooks, and the audit
// log. Every other package of the control plane imports it; it imports nothing but the
// standard library, golang.org/x and the TypeID library, talks to nothing and keeps no state.
package controlplane
