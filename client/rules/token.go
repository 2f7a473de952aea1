package rules

import (
	"slices"
	"time"
)

// Limits of an API token.
const (
	MaxTokenScopes  = 32 // in a request, duplicates included
	MaxTokenDomains = 500
)

// Scopes returns the scopes of API tokens, in the order of the documentation.
func Scopes() []string {
	return []string{"domains:read", "domains:write", "certificates:read", "certificates:key",
		"certificates:revoke", "jobs:read", "jobs:write", "tokens:read", "tokens:write",
		"audit:read", "organization:read", "organization:write", "members:read", "members:write",
		"webhooks:read", "webhooks:write", "dns-connections:read", "dns-connections:write",
		"acmedns:read", "acmedns:write"}
}

// CodeUnknownScope is the code of a scope that is not in the list. The list is that of the build,
// so a newer version may accept the scope.
const CodeUnknownScope = codeNotOneOf

// CheckScope returns an *Error if s is not a scope.
func CheckScope(s string) error {
	if slices.Contains(Scopes(), s) {
		return nil
	}
	return NotOneOf(Scopes())
}

// ParseTime parses a time in RFC 3339. It returns an *Error unless its year in UTC is from 1 to
// 9999: RFC 3339 §1 can't express others.
func ParseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if year := t.UTC().Year(); err != nil || year < 1 || year > 9999 {
		return time.Time{}, &Error{Code: "invalid-format",
			Message: "It must be an RFC 3339 time, such as 2030-01-31T12:00:00Z, that is in the years 1 to 9999 in UTC.",
			Fix:     "Use such a time."}
	}
	return t, nil
}
