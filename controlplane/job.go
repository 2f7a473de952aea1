package controlplane

import (
	"encoding/json"
	"math"
	"slices"
	"time"
)

// JobType is the type of a job's work.
type JobType string

// The types of jobs.
const (
	JobDNSCheck      JobType = "dns_check"
	JobStartIssuance JobType = "start_issuance"
	JobRenewal       JobType = "renewal"
	JobRevocation    JobType = "revocation"
	JobDelivery      JobType = "webhook_delivery"

	JobDelegationCheck JobType = "delegation_check"
	JobDNSApply        JobType = "dns_apply"
)

// JobKind is the entry of one job type in the catalog.
type JobKind struct {
	Type  JobType
	Title string // the work, as an imperative
	// Slot names the work of which a domain has at most one open job at a time: an issuance and a
	// renewal are the same work.
	Slot        string
	MaxAttempts int // failures after which a job is dead-lettered
	// action that the log records on the domain then, in addition to job.dead_lettered; empty for
	// none
	Failure string
}

// MaxAttempts is the number of failures after which a job on a domain is dead-lettered: one
// more than the three retries.
const MaxAttempts = 4

// JobKinds returns the catalog of job types, in the order of a domain's life. The work itself is
// in lifecycle (work.do).
func JobKinds() []JobKind {
	return []JobKind{
		{JobDNSCheck, "Check the DNS record", "check", MaxAttempts, ""},
		{JobStartIssuance, "Issue a certificate", "certificate", MaxAttempts, ActionIssuanceFailed},
		{JobRenewal, "Renew the certificate", "certificate", MaxAttempts, ActionRenewalFailed},
		{JobRevocation, "Revoke a certificate", "revocation", MaxAttempts, ""},
		{JobDelivery, "Deliver an event", "webhook", DeliveryAttempts, ""},
		{JobDelegationCheck, "Check a delegation", "delegation", MaxAttempts, ""},
		{JobDNSApply, "Create and remove DNS records", "dns", MaxAttempts, ""},
	}
}

// Kind returns the catalog's entry of the type, the zero entry if it has none.
func (t JobType) Kind() JobKind {
	kinds := JobKinds()
	i := slices.IndexFunc(kinds, func(k JobKind) bool { return k.Type == t })
	if i < 0 {
		return JobKind{}
	}
	return kinds[i]
}

// Valid reports whether t is a type of job.
func (t JobType) Valid() bool { return t.Kind().Type != "" }

// Slot returns the slot of the type, "" if it is not valid.
func (t JobType) Slot() string { return t.Kind().Slot }

// MaxAttempts returns the number of failures after which a job of the type is dead-lettered.
func (t JobType) MaxAttempts() int { return t.Kind().MaxAttempts }

// How long finished jobs are kept, and orders that are over.
const (
	SucceededJobsKept = 30 * 24 * time.Hour
	FailedJobsKept    = 90 * 24 * time.Hour
	OrdersKept        = 90 * 24 * time.Hour
)

// JobStatus is the state of a job.
type JobStatus string

// The statuses of a job.
const (
	JobQueued    JobStatus = "queued"
	JobRunning   JobStatus = "running"
	JobSucceeded JobStatus = "succeeded"
	JobFailed    JobStatus = "failed"
)

// Valid reports whether s is a job's status.
func (s JobStatus) Valid() bool {
	switch s {
	case JobQueued, JobRunning, JobSucceeded, JobFailed:
		return true
	}
	return false
}

// Over reports whether the job does not run again automatically.
func (s JobStatus) Over() bool { return s == JobSucceeded || s == JobFailed }

// Queue is the urgency of a job.
type Queue string

// The queues, most urgent first.
const (
	QueueCritical Queue = "critical" // a person waits
	QueueDefault  Queue = "default"
	QueueBulk     Queue = "bulk" // renewals
)

// Job is a unit of work as Postgres stores it; the queue carries only its ID. Each dispatch
// increments its generation, so that a task of an earlier dispatch is recognized as obsolete.
type Job struct {
	ID            string
	OrgID         string
	DomainID      string // empty for a delivery, the check of a delegation, and DNS records
	CertificateID string // that a revocation is about; empty for other types
	DeliveryID    string // of a delivery; empty for other types
	DelegationID  string // of the check of a delegation; empty for other types
	ConnectionID  string // through which DNS records are created; empty for other types
	Type          JobType
	Status        JobStatus
	Queue         Queue
	Reason        Reason // why it waits; empty when it does not
	// the last reason for which it was deferred since it started or failed; empty for none
	WaitedFor Reason
	Attempts  int // failures since it was created or last retried by request
	// deferrals in a row for an unavailable dependency, since it was created, last retried by
	// request, or failed
	Waits int
	// why and until when CAs are not tried for it, by name
	CAs            map[string]CAWait
	Round          int        // dead-lettered jobs in a row that it follows
	RoundSince     *time.Time // when the first of these was dead-lettered; nil if it follows none
	Generation     int
	RunAt          time.Time
	DispatchedAt   *time.Time
	LastErrorCode  string
	LastError      string
	LastErrorACME  json.RawMessage // the CA's problem document, if the last error is the CA's
	DeadLetteredAt *time.Time
	Result         map[string]any
	RequestID      string // of the request that caused it
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Slot returns the work of which a domain has at most one open job at a time. Each revocation and
// each delivery has a separate slot.
func (j *Job) Slot() string {
	if j.DeliveryID != "" {
		return j.Type.Slot() + ":" + j.DeliveryID
	}
	if j.CertificateID != "" {
		return j.Type.Slot() + ":" + j.CertificateID
	}
	return j.Type.Slot()
}

// The schedule of the jobs that follow a dead-lettered one.
const (
	FollowUpFirst   = time.Hour
	FollowUpCeiling = 24 * time.Hour
	FollowUpFor     = 30 * 24 * time.Hour // from the first dead letter
)

// FollowUpAfter returns the wait before the job that follows a dead-lettered one, which itself
// followed the given number of others: an hour, doubled each time, up to 24 h, less up to 10%.
// draw, in [0,1), picks its place within these bounds.
func FollowUpAfter(round int, draw float64) time.Duration {
	wait := float64(min(FollowUpFirst<<min(round, 10), FollowUpCeiling))
	return time.Duration(wait * (1 - 0.1*draw))
}

// Backoff is the schedule of a failed job's retries.
type Backoff struct {
	Base   time.Duration // before the first retry; 10 s if zero
	Factor float64       // per failure; 4 if zero
	Jitter float64       // share of the wait, in both directions; 0.2 if zero
}

const (
	maxBackoff = 24 * time.Hour   // after a failure
	maxPause   = 15 * time.Minute // while a dependency is unavailable
)

// Pause returns the wait before the next attempt after the given number of attempts in a row that
// found a dependency unavailable: the base, doubled each time, up to 15 min. draw, in [0,1), picks
// its place within the jitter.
func (b Backoff) Pause(waits int, draw float64) time.Duration {
	b.Factor = 2
	return b.within(maxPause, waits, draw)
}

// After returns the wait after the given number of failures, at most a day. draw, in [0,1), picks
// its place within the jitter.
func (b Backoff) After(failures int, draw float64) time.Duration {
	return b.within(maxBackoff, failures, draw)
}

func (b Backoff) within(most time.Duration, failures int, draw float64) time.Duration {
	base, factor, jitter := b.Base, b.Factor, b.Jitter
	if base == 0 {
		base = 10 * time.Second
	}
	if factor == 0 {
		factor = 4
	}
	if jitter == 0 {
		jitter = 0.2
	}
	d := float64(base) * math.Pow(factor, float64(min(max(failures-1, 0), 30)))
	d = min(d, float64(most)/(1+jitter))
	return time.Duration(d * (1 - jitter + 2*jitter*draw))
}
