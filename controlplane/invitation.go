package controlplane

import "time"

// Bounds of how long an invitation's link works.
const (
	InvitationLife    = 7 * 24 * time.Hour // where nothing is said
	InvitationMinLife = 5 * time.Minute
	InvitationMaxLife = 30 * 24 * time.Hour
)

// Invitation lets one person, whoever has its link, become a member. Its row goes with its
// use.
type Invitation struct {
	ID        string
	OrgID     string
	Role      Role
	Hash      []byte // SHA-256 of the secret in the link
	ExpiresAt time.Time
	CreatedBy string // ID of the user or token
	CreatedAt time.Time

	CreatorUserID string // the user behind it, by a token too; empty if unknown
}

// InvitationPath returns where an invitation is accepted, below the public URL.
func InvitationPath(secret string) string { return "/invitations/" + secret }
