package controlplane

import (
	"strings"
	"time"
)

// Member is a user in an organization.
type Member struct {
	OrgID string
	User  User
	Role  Role
	Since time.Time
}

// Membership is an organization as one of its members sees it.
type Membership struct {
	Organization Organization
	Role         Role
}

// RoleMissing is the error for somebody whose role lacks a scope.
func RoleMissing(r Role, s Scope) *Error {
	return &Error{Kind: KindForbidden, Code: "role-missing",
		Message: "The role " + string(r) + " lacks the scope " + string(s) + ".",
		Fix:     "Ask somebody with the role " + roleList(rolesWith(s)) + "."}
}

func roleList(roles []Role) string {
	words := make([]string, len(roles))
	for i, r := range roles {
		words[i] = string(r)
	}
	return strings.Join(words, " or ")
}
