package controlplane

// CanGrantRole returns nil if a caller may grant the role, or change or remove a member who has it.
// Only a signed-in owner decides about owners. A token decides about admins only if it has every
// scope of an admin, for all domains and without an expiry: otherwise it could create a member with
// more rights, or for longer, than its own. It returns KindForbidden "role-exceeds". It does not
// check ScopeMembersWrite. A nil grant is the operator's and allows everything.
func (g *Grant) CanGrantRole(r Role) error {
	if g == nil || g.Role == RoleOwner || r == RoleMember {
		return nil
	}
	if r == RoleAdmin && g.Role == "" && g.Covers(RoleAdmin.Grant()) && g.ExpiresAt == nil {
		return nil
	}
	fix := "Sign in on the dashboard as an owner, and do it there."
	if r == RoleAdmin {
		fix = "Use a token that has every scope of an admin, no domain_ids, and no expiry; or sign in on the dashboard as an owner."
	}
	return &Error{Kind: KindForbidden, Code: "role-exceeds",
		Message: "The caller cannot grant the role " + string(r) +
			", or change or remove anyone who has it.", Fix: fix}
}

// CanTransferOwnership returns nil if a caller may transfer the ownership from one member to
// another: only a signed-in owner may. It returns KindForbidden.
func (g *Grant) CanTransferOwnership() error {
	switch {
	case g == nil || g.Role == RoleOwner:
		return nil
	case g.Role != "":
		return RoleMissing(g.Role, ScopeMembersWrite)
	}
	return &Error{Kind: KindForbidden, Code: "session-required",
		Message: "Only an owner who is signed in can transfer the ownership of the organization.",
		Fix:     "Sign in on the dashboard as an owner, and transfer the ownership on the page of the new owner."}
}
