package controlplane

import (
	"errors"
	"slices"
	"strings"
)

// RecordSet is the records of one name and type at a DNS host.
type RecordSet struct {
	Name   string   `json:"name"` // without a trailing dot
	Type   string   `json:"type"`
	Values []string `json:"values"` // in presentation form, sorted
}

// Is reports whether the set is the one CNAME that points to target.
func (r RecordSet) Is(target string) bool {
	return r.Type == "CNAME" && len(r.Values) == 1 &&
		strings.EqualFold(strings.TrimSuffix(r.Values[0], "."), strings.TrimSuffix(target, "."))
}

// SameRecords reports whether two lists have the same sets, in any order.
func SameRecords(a, b []RecordSet) bool {
	return len(a) == len(b) && allIn(a, b) && allIn(b, a)
}

func allIn(a, b []RecordSet) bool {
	return !slices.ContainsFunc(a, func(x RecordSet) bool {
		return !slices.ContainsFunc(b, func(y RecordSet) bool {
			return strings.EqualFold(x.Name, y.Name) && x.Type == y.Type &&
				slices.Equal(slices.Sorted(slices.Values(x.Values)),
					slices.Sorted(slices.Values(y.Values)))
		})
	})
}

// ZoneOf returns the longest of zones that contains the name, "" if none does.
func ZoneOf(name string, zones []string) string {
	found := ""
	for _, zone := range zones {
		if (name == zone || strings.HasSuffix(name, "."+zone)) && len(zone) > len(found) {
			found = zone
		}
	}
	return found
}

// HostAccess is how a customer's DNS host is reached.
type HostAccess struct {
	Type        ConnectionType
	Credentials []byte // JSON, of the type; a secret
}

// HostRecord is the CNAME of a delegation at a DNS host.
type HostRecord struct {
	Zone  string
	Name  string // the challenge name
	Value string // the target
	ID    string // that the host gave it; empty if it gives none
}

// HostErrorKind is what an error of a DNS host means for the caller.
type HostErrorKind string

// The kinds of HostError.
const (
	// HostInvalid means that the host rejects the credentials, or cannot be used with them.
	HostInvalid HostErrorKind = "invalid"
	// HostUnreachable means that the host did not respond, or not usefully: retry later.
	HostUnreachable HostErrorKind = "unreachable"
	// HostNoZone means that the host does not serve the zone, or the name is not in it.
	HostNoZone HostErrorKind = "no-zone"
	// HostDenied means that the credentials are valid, but not for this record.
	HostDenied HostErrorKind = "denied"
	// HostConflict means that the name has records, in Found, which were not to be replaced.
	HostConflict HostErrorKind = "conflict"
	// HostChanged means that the record to be removed is not there, or not as it was created.
	HostChanged HostErrorKind = "changed"
)

// HostError is an error of a customer's DNS host. Its text is written for the customer: it contains
// neither credentials nor addresses that the host's name resolves to.
type HostError struct {
	Kind    HostErrorKind
	Message string
	Found   []RecordSet // of HostConflict and HostChanged
	Err     error       // for the log; nil if there is nothing to add
}

// Error returns the message with the cause. It is for logs.
func (e *HostError) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *HostError) Unwrap() error { return e.Err }

// IsHostError reports whether err is, or wraps, a *HostError of the kind.
func IsHostError(err error, kind HostErrorKind) bool {
	e, ok := errors.AsType[*HostError](err)
	return ok && e.Kind == kind
}
