package controlplane

import "time"

// Bounds of the time for which an invitation's link works.
const (
	InvitationLife    = 7 * 24 * time.Hour // default
	InvitationMinLife = 5 * time.Minute
	InvitationMaxLife = 30 * 24 * time.Hour
)

// Invitation lets one person, anyone who has its link, become a member. Accepting it deletes its
// row.
type Invitation struct {
	ID        string
	OrgID     string
	Role      Role
	Hash      []byte // SHA-256 of the secret in the link
	ExpiresAt time.Time
	CreatedBy string // ID of the user or token
	CreatedAt time.Time

	CreatorUserID string // the user who created it, possibly with a token; empty if unknown
}

// InvitationPath returns the path of an invitation's page, below the public URL.
func InvitationPath(secret string) string { return "/invitations/" + secret }
