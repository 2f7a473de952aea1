package dashboard

import (
	"cmp"
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// jobWords name the types of jobs.
var jobWords = map[controlplane.JobType]string{
	controlplane.JobDNSCheck:      "Check the DNS record",
	controlplane.JobStartIssuance: "Issue a certificate",
	controlplane.JobRenewal:       "Renew the certificate",
	controlplane.JobRevocation:    "Revoke a certificate",
	controlplane.JobDelivery:      "Deliver an event",
}

func jobTitle(t controlplane.JobType) string {
	if s, ok := jobWords[t]; ok {
		return s
	}
	return plain(string(t))
}

// entryOf returns the catalog's entry of a code, the zero entry where it has none.
func entryOf[T ~string](code T) controlplane.Code {
	entry, _ := controlplane.CodeOf(code)
	return entry
}

// reason returns the title of a stable code. A code without an entry is shown as words.
func reason[T ~string](code T) string {
	return cmp.Or(entryOf(code).Title, plain(string(code)))
}

// actionWords say what the audit log records.
var actionWords = map[string]string{
	controlplane.ActionDomainCreated:     "Domain added",
	controlplane.ActionDomainUpdated:     "Settings changed",
	controlplane.ActionDomainDeleted:     "Domain deleted",
	controlplane.ActionDNSVerified:       "DNS record found",
	controlplane.ActionDelegationBroken:  "DNS record no longer right",
	controlplane.ActionDelegationTimeout: "Stopped looking for the DNS record",
	controlplane.ActionCertificateIssued: "Certificate issued",
	controlplane.ActionRenewed:           "Certificate renewed",
	controlplane.ActionCertificateEnding: "Certificate near its end",
	controlplane.ActionCertificateEnded:  "Certificate ended",
	controlplane.ActionRenewalFailed:     "Renewal failed",
	controlplane.ActionIssuanceFailed:    "Issuance failed",
	controlplane.ActionCheckRequested:    "Check asked for",
	controlplane.ActionIssueRequested:    "Certificate asked for",
	controlplane.ActionRenewRequested:    "Renewal asked for",
	controlplane.ActionOrderCreated:      "Order begun",
	controlplane.ActionOrderFailed:       "Order failed",
	controlplane.ActionJobWaiting:        "Work waits",
	controlplane.ActionJobDeadLettered:   "Work given up",
	controlplane.ActionJobRetried:        "Work started afresh",
	controlplane.ActionRevokeRequested:   "Revocation asked for",
	controlplane.ActionRevoked:           "Certificate revoked",
	controlplane.ActionKeyDownloaded:     "Private key downloaded",

	controlplane.ActionTokenCreated:  "Token created",
	controlplane.ActionTokenUpdated:  "Token changed",
	controlplane.ActionTokenDeleted:  "Token deleted",
	controlplane.ActionTokenRotated:  "Token given a new secret",
	controlplane.ActionTokensRevoked: "All tokens revoked",

	controlplane.ActionOrgCreated:        "Organization created",
	controlplane.ActionOrgRenamed:        "Organization renamed",
	controlplane.ActionOrgDeleted:        "Organization deleted",
	controlplane.ActionOrgTransferred:    "Ownership transferred",
	controlplane.ActionMemberInvited:     "Member invited",
	controlplane.ActionMemberDeclined:    "Invitation declined",
	controlplane.ActionMemberAdded:       "Member added",
	controlplane.ActionMemberJoined:      "Member joined",
	controlplane.ActionMemberRoleChanged: "Role changed",
	controlplane.ActionMemberRemoved:     "Member removed",
	controlplane.ActionInvited:           "Invitation made",
	controlplane.ActionInviteRevoked:     "Invitation revoked",
	controlplane.ActionInviteAccepted:    "Invitation accepted",
	controlplane.ActionSessionStarted:    "Signed in",
	controlplane.ActionSessionEnded:      "Session ended",

	controlplane.ActionWebhookCreated:     "Webhook created",
	controlplane.ActionWebhookUpdated:     "Webhook changed",
	controlplane.ActionWebhookDeleted:     "Webhook deleted",
	controlplane.ActionWebhookRotated:     "Webhook given a new secret",
	controlplane.ActionWebhookRedelivered: "Events sent again",
	controlplane.ActionWebhookDisabled:    "Webhook disabled",
}

func actionTitle(action string) string {
	if s, ok := actionWords[action]; ok {
		return s
	}
	return plain(action)
}

// keyWords name the key types.
var keyWords = map[controlplane.KeyType]string{
	controlplane.KeyEC256:   "EC P-256",
	controlplane.KeyEC384:   "EC P-384",
	controlplane.KeyRSA2048: "RSA 2048",
	controlplane.KeyRSA4096: "RSA 4096",
}

func keyTitle(k controlplane.KeyType) string {
	if s, ok := keyWords[k]; ok {
		return s
	}
	return string(k)
}

// abbreviations are the words of codes that are written in capitals.
var abbreviations = map[string]string{"ca": "CA", "caa": "CAA", "dns": "DNS", "dnssec": "DNSSEC", "cname": "CNAME", "txt": "TXT", "acme": "ACME", "csr": "CSR"}

// plain makes a stable code readable: "ca-account" becomes "CA account".
func plain(code string) string {
	words := strings.FieldsFunc(code, func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	for i, w := range words {
		if a, ok := abbreviations[w]; ok {
			words[i] = a
		} else if i == 0 {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, " ")
}
