package controlplane

import (
	"strings"

	"go.jetify.com/typeid"
)

// Prefixes of the TypeIDs that name each kind of object (SPEC §6).
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
)

// NewID returns a new TypeID such as "dom_01h455vb4pex5vsknk084sn02q". Ids of one prefix
// sort by the time they were made, to the millisecond.
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
