package controlplane

import (
	"slices"
	"strings"
)

// Actions that the audit log records: the kind of object, and what happened to it.
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
	ActionOrderSetAside     = "domain.order_set_aside"

	ActionDelegationCreated = "delegation.created"
	ActionDelegationUpdated = "delegation.updated"
	ActionDelegationDeleted = "delegation.deleted"
	ActionDelegationChecked = "delegation.check_requested"
	ActionRecordRequested   = "delegation.record_requested"
	ActionRecordCreated     = "delegation.record_created"
	ActionRecordFailed      = "delegation.record_failed"
	ActionRecordRemoved     = "delegation.record_removed"
	ActionRecordLeft        = "delegation.record_left"

	ActionRevokeRequested = "certificate.revoke_requested"
	ActionRevoked         = "certificate.revoked"
	ActionKeyDownloaded   = "certificate.key_downloaded"

	ActionJobWaiting      = "job.waiting"
	ActionJobDeadLettered = "job.dead_lettered"
	ActionJobRetried      = "job.retried"

	ActionWebhookCreated     = "webhook.created"
	ActionWebhookUpdated     = "webhook.updated"
	ActionWebhookDeleted     = "webhook.deleted"
	ActionWebhookRotated     = "webhook.secret_rotated"
	ActionHookSecretsRevoked = "webhook.previous_secrets_revoked"
	ActionWebhookRedelivered = "webhook.redelivered"
	ActionWebhookDisabled    = "webhook.disabled"

	ActionConnectionCreated = "dns_connection.created"
	ActionConnectionUpdated = "dns_connection.updated"
	ActionConnectionTested  = "dns_connection.tested"
	ActionConnectionFailed  = "dns_connection.failed"
	ActionConnectionDeleted = "dns_connection.deleted"

	ActionACMEDNSRegistered = "acmedns_account.registered"
	ActionACMEDNSUpdated    = "acmedns_account.updated"
	ActionACMEDNSRotated    = "acmedns_account.rotated"
	ActionACMEDNSDeleted    = "acmedns_account.deleted"
	ActionACMEDNSKeyCreated = "acmedns_key.created"
	ActionACMEDNSKeyDeleted = "acmedns_key.deleted"

	ActionTokenCreated        = "token.created"
	ActionTokenUpdated        = "token.updated"
	ActionTokenDeleted        = "token.deleted"
	ActionTokenRotated        = "token.rotated"
	ActionTokenSecretsRevoked = "token.previous_secrets_revoked"
	ActionTokensRevoked       = "token.revoked_all"

	ActionOrgCreated     = "organization.created"
	ActionOrgRenamed     = "organization.renamed"
	ActionOrgDeleted     = "organization.deleted"
	ActionOrgTransferred = "organization.ownership_transferred"

	ActionMemberInvited     = "member.invited"
	ActionMemberDeclined    = "member.declined"
	ActionMemberAdded       = "member.added"
	ActionMemberJoined      = "member.joined"
	ActionMemberRoleChanged = "member.role_changed"
	ActionMemberRemoved     = "member.removed"

	ActionInvited        = "invitation.created"
	ActionInviteRevoked  = "invitation.revoked"
	ActionInviteAccepted = "invitation.accepted"

	ActionSessionStarted = "session.started"
	ActionSessionEnded   = "session.ended"
)

// EventTest is the type of the event that a test of a webhook sends. The audit log does not
// record it.
const EventTest = "webhook.test"

// Action is the entry of one action in the catalog.
type Action struct {
	Action string
	Title  string // what happened, in a few words
}

// Kind returns the kind of object that the action is about: the first word of the action.
func (a Action) Kind() string {
	kind, _, _ := strings.Cut(a.Action, ".")
	return kind
}

// IsEvent reports whether webhooks and event streams get the action.
func (a Action) IsEvent() bool { return slices.Contains(EventKinds(), a.Kind()) }

// EventKinds returns the kinds of objects whose actions are events.
func EventKinds() []string {
	return []string{"domain", "delegation", "certificate", "job", "webhook", "dns_connection"}
}

// Actions returns the catalog of actions. Those of one kind are together.
func Actions() []Action {
	return []Action{
		{ActionDomainCreated, "Domain added"},
		{ActionDomainUpdated, "Settings changed"},
		{ActionDomainDeleted, "Domain deleted"},
		{ActionDNSVerified, "DNS record verified"},
		{ActionDelegationBroken, "DNS record broken"},
		{ActionDelegationTimeout, "Stopped checking the DNS record"},
		{ActionCertificateIssued, "Certificate issued"},
		{ActionRenewed, "Certificate renewed"},
		{ActionCertificateEnding, "Certificate expiring soon"},
		{ActionCertificateEnded, "Certificate expired"},
		{ActionRenewalFailed, "Renewal failed"},
		{ActionIssuanceFailed, "Issuance failed"},
		{ActionCheckRequested, "Check requested"},
		{ActionIssueRequested, "Certificate requested"},
		{ActionRenewRequested, "Renewal requested"},
		{ActionOrderCreated, "Order created"},
		{ActionOrderFailed, "Order failed"},
		{ActionOrderSetAside, "Order set aside"},

		{ActionDelegationCreated, "Delegation added"},
		{ActionDelegationUpdated, "Delegation changed"},
		{ActionDelegationDeleted, "Delegation deleted"},
		{ActionDelegationChecked, "Delegation check requested"},
		{ActionRecordRequested, "DNS record requested"},
		{ActionRecordCreated, "DNS record created"},
		{ActionRecordFailed, "DNS record not created"},
		{ActionRecordRemoved, "DNS record removed"},
		{ActionRecordLeft, "DNS record not removed"},

		{ActionRevokeRequested, "Revocation requested"},
		{ActionRevoked, "Certificate revoked"},
		{ActionKeyDownloaded, "Private key downloaded"},

		{ActionJobWaiting, "Job waiting"},
		{ActionJobDeadLettered, "Job dead-lettered"},
		{ActionJobRetried, "Job retried"},

		{ActionWebhookCreated, "Webhook created"},
		{ActionWebhookUpdated, "Webhook changed"},
		{ActionWebhookDeleted, "Webhook deleted"},
		{ActionWebhookRotated, "Webhook secret rotated"},
		{ActionHookSecretsRevoked, "Previous webhook secrets revoked"},
		{ActionWebhookRedelivered, "Events redelivered"},
		{ActionWebhookDisabled, "Webhook disabled"},

		{ActionConnectionCreated, "DNS connection created"},
		{ActionConnectionUpdated, "DNS connection changed"},
		{ActionConnectionTested, "DNS connection tested"},
		{ActionConnectionFailed, "DNS connection failed"},
		{ActionConnectionDeleted, "DNS connection deleted"},

		{ActionACMEDNSRegistered, "acme-dns account registered"},
		{ActionACMEDNSUpdated, "acme-dns account changed"},
		{ActionACMEDNSRotated, "acme-dns password rotated"},
		{ActionACMEDNSDeleted, "acme-dns account deleted"},
		{ActionACMEDNSKeyCreated, "Registration key created"},
		{ActionACMEDNSKeyDeleted, "Registration key deleted"},

		{ActionTokenCreated, "Token created"},
		{ActionTokenUpdated, "Token changed"},
		{ActionTokenDeleted, "Token deleted"},
		{ActionTokenRotated, "Token rotated"},
		{ActionTokenSecretsRevoked, "Previous token secrets revoked"},
		{ActionTokensRevoked, "All tokens revoked"},

		{ActionOrgCreated, "Organization created"},
		{ActionOrgRenamed, "Organization renamed"},
		{ActionOrgDeleted, "Organization deleted"},
		{ActionOrgTransferred, "Ownership transferred"},

		{ActionMemberInvited, "Member invited"},
		{ActionMemberDeclined, "Invitation declined"},
		{ActionMemberAdded, "Member added"},
		{ActionMemberJoined, "Member joined"},
		{ActionMemberRoleChanged, "Role changed"},
		{ActionMemberRemoved, "Member removed"},

		{ActionInvited, "Invitation created"},
		{ActionInviteRevoked, "Invitation revoked"},
		{ActionInviteAccepted, "Invitation accepted"},

		{ActionSessionStarted, "Signed in"},
		{ActionSessionEnded, "Session ended"},
	}
}

// ActionOf returns the entry of an action. ok is false where the catalog has none.
func ActionOf(action string) (a Action, ok bool) {
	all := Actions()
	i := slices.IndexFunc(all, func(a Action) bool { return a.Action == action })
	if i < 0 {
		return Action{}, false
	}
	return all[i], true
}

// EventTypes returns the types of events that a webhook can choose from.
func EventTypes() []string {
	var types []string
	for _, a := range Actions() {
		if a.IsEvent() {
			types = append(types, a.Action)
		}
	}
	return types
}

// ActionNames returns the actions of the catalog.
func ActionNames() []string {
	all := Actions()
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Action
	}
	return names
}

// DidYouMean returns "; did you mean x?" with the one of names that s is most likely a misspelling
// of, or "." if more than half of s would differ.
func DidYouMean(s string, names []string) string {
	s = s[:min(len(s), 64)]
	nearest := slices.MinFunc(names,
		func(a, b string) int { return distance(s, a) - distance(s, b) })
	if distance(s, nearest) > len(s)/2 {
		return "."
	}
	return "; did you mean " + nearest + "?"
}

// distance returns the number of characters to change, add, or remove to turn a into b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
