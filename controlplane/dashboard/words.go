package dashboard

import (
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

// reasonWords say stable codes to people. A code that is not here is shown with its hyphens
// taken out, which is what codes are named for.
var reasonWords = map[string]string{
	"cname-unchecked":                     "Not looked for yet",
	controlplane.CauseOK:                  "As it should be",
	controlplane.CauseCNAMEMissing:        "The CNAME is not there yet",
	controlplane.CauseCNAMEMismatch:       "The CNAME points elsewhere",
	controlplane.CauseCNAMEDoubledLabel:   "The record’s host holds the domain twice",
	controlplane.CauseCNAMEProxied:        "The CNAME is hidden by a proxy",
	controlplane.CauseCNAMEChainLoop:      "The CNAMEs lead in a circle",
	controlplane.CauseCNAMEChainTooLong:   "The chain of CNAMEs is too long",
	controlplane.CauseTXTConflict:         "A TXT record is in the way",
	controlplane.CauseZoneNotFound:        "The DNS zone does not exist",
	controlplane.CauseNameserversDisagree: "The name servers disagree",
	controlplane.CauseNameserverLame:      "A name server does not answer for the zone",
	controlplane.CauseNegativeCached:      "Resolvers still remember that it was missing",
	controlplane.CauseDNSSECBogus:         "The zone’s DNSSEC is broken",
	controlplane.CauseCAALookupFailed:     "The CAA records cannot be read",
	controlplane.CauseResolverUnreachable: "No resolver could be asked",
	"delegation-timeout":                  "Not found within 30 days",
	"retry":                               "Failed, and is tried again",
	"domain-busy":                         "Waits for other work on the domain",
	"handed-back":                         "Its worker was stopped; another takes it up",
	"dead-lettered":                       "Failed more than three times",
	"caa-forbids":                         "CAA records forbid the CA",
	"rate-limited":                        "The CA’s limit is reached",
	"ca-rate-limited":                     "The CA’s limit is reached",
	"ca-quota":                            "The CA’s limit is reached",
	controlplane.ReasonOrderBudget:        "The organization’s orders of the day are used up",
	"ca-unreachable":                      "The CA does not answer",
	"ca-slow":                             "The CA takes its time",
	"certificate-expiring":                "The certificate’s end is near",
	"certificate-expired":                 "The certificate has ended",
	reasonNotIssued:                       "There is none yet",
	reasonAwaitingIssue:                   "Issued when you ask for it",
	reasonRenewalOff:                      "Renewal is switched off",
	reasonRevoked:                         "The certificate was revoked",
	reasonCompromised:                     "The certificate request’s key is compromised",
}

func reason(code string) string {
	if s, ok := reasonWords[code]; ok || code == "" {
		return s
	}
	return plain(code)
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
