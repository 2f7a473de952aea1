package controlplane

import (
	"strings"
	"time"
)

// MemberLife is how long an invitation by login can be accepted.
const MemberLife = 30 * 24 * time.Hour

// MaxInvitations is how many people an organization can invite at a time, by login and by link
// together.
const MaxInvitations = 100

// MemberState says whether a person has agreed to be a member.
type MemberState string

// The states of a member. Only an active one has access.
const (
	MemberPending  MemberState = "pending"  // invited by login, not accepted or declined yet
	MemberActive   MemberState = "active"   // accepted
	MemberDeclined MemberState = "declined" // remains until a member removes it
	MemberExpired  MemberState = "expired"  // neither accepted nor declined in time
)

// Member is a user in an organization, or one who is invited to it by login. The user's ID
// identifies it in every state.
type Member struct {
	OrgID string
	User  User
	Role  Role
	Since time.Time // when they became a member; until then, when they were invited

	// Of an invitation; not set for an active member.
	InvitedBy  string     // ID of the user or token; empty if unknown
	ExpiresAt  *time.Time // when it can no longer be accepted
	DeclinedAt *time.Time
}

// State returns the member's state at a time.
func (m *Member) State(now time.Time) MemberState {
	switch {
	case m.Active():
		return MemberActive
	case m.DeclinedAt != nil:
		return MemberDeclined
	case !now.Before(*m.ExpiresAt):
		return MemberExpired
	}
	return MemberPending
}

// Active reports whether the person belongs to the organization.
func (m *Member) Active() bool { return m.ExpiresAt == nil }

// Membership is an organization from the view of one of its members.
type Membership struct {
	Organization Organization
	Role         Role
}

// RoleMissing returns the error for a user whose role lacks a scope.
func RoleMissing(r Role, s Scope) *Error {
	return &Error{Kind: KindForbidden, Code: "role-missing",
		Message: "The role " + string(r) + " does not include the permission " + string(s) + ".",
		Fix:     "Ask a member with the role " + roleList(rolesWith(s)) + "."}
}

func roleList(roles []Role) string {
	words := make([]string, len(roles))
	for i, r := range roles {
		words[i] = string(r)
	}
	return strings.Join(words, " or ")
}
