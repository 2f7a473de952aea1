package controlplane

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/dcvaas/terraform-provider-dcvaas/client/rules"
)

// ConditionType names one thing that can be true or false of a domain.
type ConditionType string

// The conditions of a domain, in the order in which they are shown.
const (
	DNSReady         ConditionType = "DNSReady"
	CertificateReady ConditionType = "CertificateReady"
	RenewalOnTrack   ConditionType = "RenewalOnTrack"
)

// ConditionKind is the entry of one condition type in the catalog.
type ConditionKind struct {
	Type  ConditionType
	Title string
	True  string // the status in a word or two
	False string
}

// ConditionKinds returns the conditions of a domain, in the order in which they are shown.
func ConditionKinds() []ConditionKind {
	return []ConditionKind{
		{DNSReady, "DNS record", "Verified", "Misconfigured"},
		{CertificateReady, "Certificate", "Valid", "Missing"},
		{RenewalOnTrack, "Renewal", "On track", "Failing"},
	}
}

// ConditionKindOf returns the entry of a condition type. That of an unknown type has its name as
// the title.
func ConditionKindOf(t ConditionType) ConditionKind {
	for _, k := range ConditionKinds() {
		if k.Type == t {
			return k
		}
	}
	return ConditionKind{t, string(t), "Yes", "No"}
}

// ConditionStatus says whether a condition is true.
type ConditionStatus string

// The statuses of a condition.
const (
	ConditionTrue    ConditionStatus = "true"
	ConditionFalse   ConditionStatus = "false"
	ConditionUnknown ConditionStatus = "unknown"
)

// Reason is why a condition has its status, why a domain has its status, or why a job waits: a
// code of the catalog, which says what it means.
type Reason string

// The reasons that are neither causes of the doctor nor codes of an error. The constants are
// untyped, because errors, orders, and the audit log store codes as plain strings.
const (
	ReasonCNAMEUnchecked    = "cname-unchecked"
	ReasonDelegated         = "delegated"
	ReasonDelegationTimeout = "delegation-timeout"
	ReasonApplyPending      = "dns-apply-pending" // the CNAME is created through a connection

	ReasonNotIssued           = "not-issued"
	ReasonAwaitingIssue       = "awaiting-issue" // auto_issue is off
	ReasonIssuing             = "issuing"
	ReasonIssued              = "issued"
	ReasonChainNotOffered     = rules.CodeChainNotOffered // issued, with the CA's default chain
	ReasonIssuedPartial       = "issued-partial"          // issued without some names
	ReasonNamesReady          = "names-ready"             // a certificate with further names is ordered
	ReasonCertificateOutdated = "certificate-outdated"    // the options changed, and auto_issue is off
	ReasonOptionsChanged      = "options-changed"         // a certificate with them is ordered
	ReasonScheduled           = "scheduled"
	ReasonRenewing            = "renewing" // by request, before it is due
	ReasonCAAsksNow           = "ca-asks-now"
	ReasonAutoRenewOff        = "auto-renew-off"
	ReasonRevoked             = "revoked"
	ReasonCertificateExpiring = "certificate-expiring"
	ReasonCertificateExpired  = "certificate-expired"
	ReasonCSRKeyCompromised   = "csr-key-compromised"

	ReasonRetry        = "retry"
	ReasonDomainBusy   = "domain-busy"
	ReasonHandedBack   = "handed-back"
	ReasonWorkerLost   = "worker-lost"
	ReasonDeadLettered = "dead-lettered"
	ReasonFollowUp     = "follow-up"    // it follows a dead-lettered job automatically
	ReasonCAQuota      = "ca-quota"     // the CA's limits, as counted here
	ReasonOrderBudget  = "order-budget" // the organization's orders within BudgetPeriod
	// the probe does not reach the validation zone
	ReasonZoneUnreachable = "validation-zone-unreachable"
	// a name server does not serve the challenge, or a probe failed a moment ago
	ReasonZoneNotAnswering = "zone-not-answering"

	ReasonCAHeld    = "ca-held"    // an operator stopped new orders at the CA
	ReasonCAPaused  = "ca-paused"  // the CA stopped orders of our account for the name
	ReasonCAAccount = "ca-account" // the CA rejects our account
)

// AwaitsRecord reports whether the reason of DNSReady is that a name's CNAME was not found, or not
// checked.
func (r Reason) AwaitsRecord() bool {
	if IsCause(r) {
		return !(Diagnosis{Code: string(r)}).Transient()
	}
	return r == ReasonCNAMEUnchecked || r.IsOfRecord()
}

// IsOfRecord reports whether the reason is one of DefaultRecord.Cause.
func (r Reason) IsOfRecord() bool {
	return r == ReasonApplyPending || r == CodeDNSConflict || r == CodeConnectionInvalid ||
		r == CodeNoZone
}

// HeldReasons returns the reasons of jobs that wait to place an order, although everything that the
// domain's owner controls is in order.
func HeldReasons() []string {
	return []string{ReasonCAQuota, ReasonOrderBudget, ReasonCAHeld, ReasonCAPaused, ReasonCAAccount,
		ReasonZoneUnreachable}
}

// Condition says whether one thing is true of a domain, why, and when it is checked again.
type Condition struct {
	Type    ConditionType   `json:"type"`
	Status  ConditionStatus `json:"status"`
	Reason  Reason          `json:"reason"`
	Message string          `json:"message"`
	// see Observed: at most 10 values of 255 characters
	Observed      string     `json:"observed,omitempty"`
	ObservedCount int        `json:"observed_count,omitempty"` // of all values
	Expected      string     `json:"expected,omitempty"`
	Fix           string     `json:"fix,omitempty"`
	LastCheckedAt *time.Time `json:"last_checked_at,omitempty"`
	NextCheckAt   *time.Time `json:"next_check_at,omitempty"`

	// Names are the names that are not ready, the most important first, of a domain with several.
	// The fields above are about the first of them.
	Names []NameStatus `json:"names,omitempty"`

	// the CA's problem document, if the cause is the CA's
	ACME json.RawMessage `json:"acme,omitempty"`
}

// NameStatus is why one of a domain's names is not ready. Its texts are bounded.
type NameStatus struct {
	Name          string `json:"name"` // without a wildcard's "*."
	Reason        Reason `json:"reason"`
	Message       string `json:"message"`
	Observed      string `json:"observed,omitempty"`
	ObservedCount int    `json:"observed_count,omitempty"` // of all values
	Expected      string `json:"expected,omitempty"`
	Fix           string `json:"fix,omitempty"`
}

// maxNameText bounds each text of a NameStatus, in characters: a domain has up to 100.
const maxNameText = 1000

// Status returns the cause as it is stored in a condition.
func (c NameCause) Status() NameStatus {
	bound := func(s string) string { return shorten(s, maxNameText) }
	return NameStatus{Name: c.Name, Reason: Reason(c.Cause.Code),
		Message: bound(c.Cause.Summary), Observed: bound(c.Cause.Observed),
		ObservedCount: c.Cause.Count, Expected: bound(c.Cause.Expected), Fix: bound(c.Cause.Fix)}
}

// NotReady returns the names that are not ready according to a false condition of the domain.
func (d *Domain) NotReady(c Condition) []NameStatus {
	if len(c.Names) > 0 || len(d.Targets) > 0 || c.Status != ConditionFalse ||
		!IsCause(c.Reason) && !c.Reason.IsOfRecord() {
		return c.Names
	}
	return []NameStatus{{Name: d.Name, Reason: c.Reason, Message: c.Message, Observed: c.Observed,
		ObservedCount: c.ObservedCount, Expected: c.Expected, Fix: c.Fix}}
}

// IsOfRecord reports whether the condition is about a CNAME that is created through a connection.
func (c Condition) IsOfRecord() bool {
	if len(c.Names) == 0 {
		return c.Reason.IsOfRecord()
	}
	return slices.ContainsFunc(c.Names, func(n NameStatus) bool { return n.Reason.IsOfRecord() })
}

// IsRequested reports whether the renewal was requested, and is in progress or waits for the
// organization's budget, without a problem.
func (c Condition) IsRequested() bool {
	return c.Type == RenewalOnTrack && c.Status == ConditionTrue &&
		(c.Reason == ReasonRenewing || c.Reason == ReasonOptionsChanged ||
			c.Reason == ReasonOrderBudget)
}

// Condition returns the domain's condition of type t, unknown if it was never set.
func (d *Domain) Condition(t ConditionType) Condition {
	for _, c := range d.Conditions {
		if c.Type == t {
			return c
		}
	}
	return Condition{Type: t, Status: ConditionUnknown}
}

// SetCondition puts c in place of the condition of its type, in the order of display.
func (d *Domain) SetCondition(c Condition) {
	kinds := ConditionKinds()
	next := make([]Condition, 0, len(kinds))
	for _, k := range kinds {
		if k.Type == c.Type {
			next = append(next, c)
			continue
		}
		if old := d.Condition(k.Type); old.Reason != "" {
			next = append(next, old)
		}
	}
	d.Conditions = next
}
