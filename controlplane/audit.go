package controlplane

import "time"

// Actions that the audit log records: the kind of object, and what happened to it. Those of
// EventKinds are also events that customers' systems are told of.
const (
	ActionDomainCreated     = "domain.created"
	ActionDomainUpdated     = "domain.updated"
	ActionDomainDeleted     = "domain.deleted"
	ActionDNSVerified       = "domain.dns_verified"
	ActionDelegationBroken  = "domain.delegation_broken"
	ActionDelegationTimeout = "domain.delegation_timeout"
	ActionCertificateIssued = "domain.certificate_issued"
	ActionRenewed           = "domain.renewed"
	ActionCertificateEnding = "domain.certificate_expiring"
	ActionCertificateEnded  = "domain.certificate_expired"
	ActionRenewalFailed     = "domain.renewal_failed"
	ActionIssuanceFailed    = "domain.issuance_failed"
	ActionCheckRequested    = "domain.check_requested"
	ActionIssueRequested    = "domain.issue_requested"
	ActionRenewRequested    = "domain.renew_requested"
	ActionOrderCreated      = "domain.order_created"
	ActionOrderFailed       = "domain.order_failed"
	ActionJobWaiting        = "job.waiting"
	ActionJobDeadLettered   = "job.dead_lettered"
	ActionJobRetried        = "job.retried"
	ActionRevokeRequested   = "certificate.revoke_requested"
	ActionRevoked           = "certificate.revoked"
	ActionKeyDownloaded     = "certificate.key_downloaded"
	ActionTokenCreated      = "token.created"
	ActionTokenUpdated      = "token.updated"
	ActionTokenDeleted      = "token.deleted"
	ActionTokenRotated      = "token.rotated"
	ActionTokensRevoked     = "token.revoked_all"
	ActionOrgCreated        = "organization.created"
	ActionOrgRenamed        = "organization.renamed"
	ActionOrgDeleted        = "organization.deleted"
	ActionOrgTransferred    = "organization.ownership_transferred"
	ActionMemberInvited     = "member.invited"
	ActionMemberDeclined    = "member.declined"
	ActionMemberAdded       = "member.added"
	ActionMemberJoined      = "member.joined"
	ActionMemberRoleChanged = "member.role_changed"
	ActionMemberRemoved     = "member.removed"
	ActionInvited           = "invitation.created"
	ActionInviteRevoked     = "invitation.revoked"
	ActionInviteAccepted    = "invitation.accepted"
	ActionSessionStarted    = "session.started"
	ActionSessionEnded      = "session.ended"
)

// EventKinds returns the first words of the actions that are events.
func EventKinds() []string { return []string{"domain", "certificate", "job", "webhook"} }

// ActorType is who did something.
type ActorType string

// The types of actors.
const (
	ActorUser   ActorType = "user"
	ActorToken  ActorType = "token"
	ActorSystem ActorType = "system"
)

// Actor is who did something, and by which call.
type Actor struct {
	Type      ActorType
	ID        string // of the user or token; the part of the program for the system
	IP        string
	RequestID string
}

// System returns the actor for what a part of the program does by itself.
func System(part string) Actor { return Actor{Type: ActorSystem, ID: part} }

// AuditEntry is one row of the append-only log.
type AuditEntry struct {
	ID         string
	Seq        int64 // order of the log
	OrgID      string
	Actor      Actor
	Action     string
	EntityType string
	EntityID   string
	Before     map[string]any
	After      map[string]any
	Details    map[string]any
	CreatedAt  time.Time
}

// DomainID returns the domain that the entry is about, "" where it is about none.
func (a *AuditEntry) DomainID() string {
	if id, ok := a.Details["domain_id"].(string); ok {
		return id
	}
	if a.EntityType == "domain" {
		return a.EntityID
	}
	return ""
}
