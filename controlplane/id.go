package controlplane

import (
	"strings"

	"go.jetify.com/typeid"
)

// Prefixes of the TypeIDs of each kind of object.
const (
	PrefixOrganization = "org"
	PrefixUser         = "usr"
	PrefixDomain       = "dom"
	PrefixJob          = "job"
	PrefixCertificate  = "crt"
	PrefixToken        = "tok"
	PrefixEvent        = "evt"
	PrefixOrder        = "ord"
	PrefixAccount      = "acc"
	PrefixConnection   = "con"
	PrefixInvitation   = "inv"
	PrefixSession      = "ses"
	PrefixWebhook      = "whk"
	PrefixDelivery     = "dlv"
	PrefixDelegation   = "dlg"
	PrefixACMEDNS      = "ada" // account of the acme-dns API
	PrefixACMEDNSKey   = "adk" // registration key of the acme-dns API
)

// NewID returns a new TypeID such as "dom_01h455vb4pex5vsknk084sn02q". IDs with one prefix sort by
// their creation time, to the millisecond.
func NewID(prefix string) string {
	return typeid.Must(typeid.WithPrefix(prefix)).String()
}

// IsID reports whether s is a well-formed TypeID with the given prefix.
func IsID(prefix, s string) bool {
	if !strings.HasPrefix(s, prefix+"_") {
		return false
	}
	_, err := typeid.FromString(s)
	return err == nil
}
