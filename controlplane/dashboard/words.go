package dashboard

import (
	"strings"

	"github.com/dcvaas/terraform-provider-dcvaas/controlplane"
)

// pill is a state as pages show it: icon, word and tint say the same.
type pill struct {
	Tint string // ok, info, warn, danger or neutral
	Icon string
	Word string
}

// statusPill is a domain's status.
func statusPill(s controlplane.DomainStatus) pill {
	switch s {
	case controlplane.DomainPendingCNAME:
		return pill{"warn", "clock", "Waiting for DNS"}
	case controlplane.DomainIssuing:
		return pill{"info", "cycle", "Issuing"}
	case controlplane.DomainActive:
		return pill{"ok", "check", "Active"}
	case controlplane.DomainError:
		return pill{"danger", "alert", "Error"}
	}
	return pill{"neutral", "dot", plain(string(s))}
}

// renewalPill is shown beside an active domain's status where its renewal is not on track.
func renewalPill(d *controlplane.Domain) *pill {
	if d.Status == controlplane.DomainActive && d.Condition(controlplane.RenewalOnTrack).Status == "false" {
		return &pill{"warn", "alert", "Renewal failing"}
	}
	return nil
}

// jobPill is a job's status.
func jobPill(j *controlplane.Job) pill {
	switch j.Status {
	case controlplane.JobQueued:
		return pill{"neutral", "clock", "Waiting"}
	case controlplane.JobRunning:
		return pill{"info", "cycle", "Running"}
	case controlplane.JobSucceeded:
		return pill{"ok", "check", "Succeeded"}
	case controlplane.JobFailed:
		if j.DeadLetteredAt != nil {
			return pill{"danger", "alert", "Gave up"}
		}
		return pill{"danger", "cross", "Failed"}
	}
	return pill{"neutral", "dot", plain(string(j.Status))}
}

// conditionPill says whether a condition holds. What is not there yet and not wrong either is
// waiting.
func conditionPill(c controlplane.Condition) pill {
	words, ok := conditionWords[c.Type]
	if !ok {
		words.holds, words.not = "Yes", "No"
	}
	switch {
	case c.Status == "true":
		return pill{"ok", "check", words.holds}
	case c.Status == "false" && waiting[c.Reason]:
		return pill{"warn", "clock", "Not yet"}
	case c.Status == "false":
		return pill{"danger", "alert", words.not}
	}
	return pill{"neutral", "clock", "Not known yet"}
}

// conditionWords say that a condition holds, and that it does not.
var conditionWords = map[controlplane.ConditionType]struct{ holds, not string }{
	controlplane.DNSReady:         {"In place", "Not right"},
	controlplane.CertificateReady: {"Valid", "Missing"},
	controlplane.RenewalOnTrack:   {"On track", "Failing"},
}

// waiting are the reasons for which a condition is false while nothing is wrong.
var waiting = map[string]bool{
	controlplane.CauseCNAMEMissing: true, "cname-unchecked": true, "not-issued": true, "issuing": true,
	controlplane.CauseNegativeCached: true, "ordering": true,
}

// jobWords name the types of jobs.
var jobWords = map[controlplane.JobType]string{
	controlplane.JobDNSCheck:      "Check the DNS record",
	controlplane.JobStartIssuance: "Issue a certificate",
	controlplane.JobRenewal:       "Renew the certificate",
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
	controlplane.CauseResolverUnreachable: "No resolver could be asked",
	"delegation-timeout":                  "Not found within 30 days",
	"retry":                               "Failed, and is tried again",
	"domain-busy":                         "Waits for other work on the domain",
	"handed-back":                         "Its worker was stopped; another takes it up",
	"dead-lettered":                       "Failed more than three times",
	"caa-forbids":                         "CAA records forbid the CA",
	"rate-limited":                        "The CA’s limit is reached",
	"ca-rate-limited":                     "The CA’s limit is reached",
	"ca-unreachable":                      "The CA does not answer",
	"not-issued":                          "There is none yet",
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
	controlplane.ActionRenewalFailed:     "Renewal failed",
	controlplane.ActionIssuanceFailed:    "Issuance failed",
	controlplane.ActionCheckRequested:    "Check asked for",
	controlplane.ActionIssueRequested:    "Certificate asked for",
	controlplane.ActionRenewRequested:    "Renewal asked for",
	controlplane.ActionOrderCreated:      "Order begun",
	controlplane.ActionOrderFailed:       "Order failed",
	controlplane.ActionJobDeadLettered:   "Work given up",
	controlplane.ActionJobRetried:        "Work started afresh",
	controlplane.ActionKeyDownloaded:     "Private key downloaded",
}

// stepWords say how far an order has come.
var stepWords = map[controlplane.OrderStep]string{
	controlplane.StepCreated:    "key and request made",
	controlplane.StepOrdered:    "order placed with the CA",
	controlplane.StepAuthorized: "challenge received",
	controlplane.StepPublished:  "challenge answered by every name server",
	controlplane.StepAccepted:   "CA told to validate",
	controlplane.StepReady:      "control of the domain proved",
	controlplane.StepFinalised:  "certificate request sent",
	controlplane.StepIssued:     "certificate ready at the CA",
	controlplane.StepStored:     "certificate stored",
	controlplane.StepFailed:     "ended without a certificate",
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

// plain makes a stable code readable: "ca-rate-limited" becomes "Ca rate limited".
func plain(code string) string {
	s := strings.TrimSpace(strings.NewReplacer("-", " ", "_", " ", ".", " ").Replace(code))
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
