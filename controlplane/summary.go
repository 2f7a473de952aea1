package controlplane

import "time"

// SummaryState is the state of a domain, ranked from everything that is known about it.
type SummaryState string

// The states of a domain's summary. The first four have a certificate that can be used.
const (
	SummaryActive   SummaryState = "active"
	SummaryRenewing SummaryState = "renewing"
	SummaryAtRisk   SummaryState = "at_risk"
	SummaryRevoked  SummaryState = "revoked"

	SummaryWaiting    SummaryState = "waiting"
	SummaryInProgress SummaryState = "in_progress"
	SummaryBlocked    SummaryState = "blocked"
	SummaryExpired    SummaryState = "expired"
)

// SummaryKind is the entry of one state in the catalog.
type SummaryKind struct {
	State SummaryState
	Title string
	Cause string // what it means
}

// SummaryKinds returns the states of a domain's summary, the most urgent first.
func SummaryKinds() []SummaryKind {
	return []SummaryKind{
		{SummaryExpired, "Expired", "The certificate expired before it was renewed."},
		{SummaryRevoked, "Revoked", "The certificate was revoked, and no other one is stored yet."},
		{SummaryAtRisk, "At risk",
			"The certificate is valid, but outdated, or its renewal would fail, fails, or is late."},
		{SummaryBlocked, "Blocked", "No certificate is issued until a problem is fixed."},
		{SummaryWaiting, "Waiting", "The first certificate waits for the next step of the setup."},
		{SummaryInProgress, "In progress", "The first certificate is being issued."},
		{SummaryRenewing, "Renewing", "The certificate is valid, and is being renewed."},
		{SummaryActive, "Active", "The certificate is valid."},
	}
}

// Title returns the state in a word or two, as pages show it.
func (s SummaryState) Title() string {
	for _, k := range SummaryKinds() {
		if k.State == s {
			return k.Title
		}
	}
	return string(s)
}

// NeedsAttention reports whether something is wrong: without a change, the domain has or gets no
// valid certificate.
func (s SummaryState) NeedsAttention() bool {
	switch s {
	case SummaryExpired, SummaryRevoked, SummaryAtRisk, SummaryBlocked:
		return true
	}
	return false
}

// SummaryEventKind is what happens to a domain next.
type SummaryEventKind string

// The next events of a domain.
const (
	EventDNSCheck SummaryEventKind = "dns_check"
	EventOrder    SummaryEventKind = "order"   // the next attempt to get the first certificate
	EventRenewal  SummaryEventKind = "renewal" // the renewal, or its next attempt
	EventExpiry   SummaryEventKind = "expiry"  // nothing else is scheduled before
)

// SummaryEvent is the next scheduled event of a domain.
type SummaryEvent struct {
	What SummaryEventKind
	At   time.Time // due now if it has passed
}

// Summary is the answer to three questions about a domain: its state, the cause, and what happens
// next. The API, the dashboard, and the Terraform provider show it.
type Summary struct {
	State    SummaryState
	Headline string // the title of Reason, or of the state if it says enough
	Reason   Reason // code of the catalog behind it
	Cause    string
	NextStep string // of Actor; starts with "No action needed." without one
	// DashboardStep is NextStep in the terms of the dashboard.
	DashboardStep string
	Next          *SummaryEvent // nil if nothing is scheduled, or the work is in progress
	Actor         Party         // who takes the next step
	// Request is the type of the job whose request takes the next step, or follows it; empty if no
	// request would help.
	Request JobType
	// ChangesAt is when State changes by time alone; zero if it does not.
	ChangesAt time.Time
}
