package controlplane

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"time"
)

// JobType is the kind of work that a job is.
type JobType string

// The types of jobs.
const (
	JobDNSCheck      JobType = "dns_check"
	JobStartIssuance JobType = "start_issuance"
	JobRenewal       JobType = "renewal"
	JobRevocation    JobType = "revocation"
	JobDelivery      JobType = "webhook_delivery"
)

// Valid reports whether t is a type of job.
func (t JobType) Valid() bool { return t.Slot() != "" }

// Slot names the work of which a domain has at most one job open at a time: an issuance and
// a renewal are the same work.
func (t JobType) Slot() string {
	switch t {
	case JobDNSCheck:
		return "check"
	case JobStartIssuance, JobRenewal:
		return "certificate"
	case JobRevocation:
		return "revocation"
	case JobDelivery:
		return "webhook"
	}
	return ""
}

// MaxAttempts is how many failures make a job of the type dead.
func (t JobType) MaxAttempts() int {
	if t == JobDelivery {
		return DeliveryAttempts
	}
	return MaxAttempts
}

// JobStatus is where a job stands.
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

// Over reports whether nothing more happens to the job by itself.
func (s JobStatus) Over() bool { return s == JobSucceeded || s == JobFailed }

// Queue is how urgent a job is.
type Queue string

// The queues, most urgent first.
const (
	QueueCritical Queue = "critical" // a person waits
	QueueDefault  Queue = "default"
	QueueBulk     Queue = "bulk" // renewals
)

// Job is a piece of work as Postgres records it; the queue only carries its id. Its
// generation grows whenever it is dispatched anew, so that a task of an earlier dispatch
// finds that it is stale.
type Job struct {
	ID             string
	OrgID          string
	DomainID       string // empty for a delivery
	CertificateID  string // that a revocation is about; empty for other types
	DeliveryID     string // of a delivery; empty for other types
	Type           JobType
	Status         JobStatus
	Queue          Queue
	Reason         Reason // why it waits; empty when it does not
	WaitedFor      Reason // the last reason for which it was put back since it began or failed; empty for none
	Attempts       int    // failures so far in this life
	Generation     int
	RunAt          time.Time
	DispatchedAt   *time.Time
	LastErrorCode  string
	LastError      string
	LastErrorACME  json.RawMessage // the CA's problem document, where the last error is the CA's
	DeadLetteredAt *time.Time
	Result         map[string]any
	RequestID      string // of the call that caused it
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Slot names the work of which a domain has at most one job open at a time. Each certificate
// is revoked by itself, and each delivery is made by itself.
func (j *Job) Slot() string {
	if j.DeliveryID != "" {
		return j.Type.Slot() + ":" + j.DeliveryID
	}
	if j.CertificateID != "" {
		return j.Type.Slot() + ":" + j.CertificateID
	}
	return j.Type.Slot()
}

// MaxAttempts is how many failures make a job on a domain dead: one more than the three
// retries.
const MaxAttempts = 4

// Backoff says how failed jobs are tried again.
type Backoff struct {
	Base   time.Duration // before the first retry; 10 s where zero
	Factor float64       // 4 where zero
	Jitter float64       // share of the wait, either way; 0.2 where zero
}

// After returns the wait after the given number of failures.
func (b Backoff) After(failures int) time.Duration {
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
	d := float64(base) * math.Pow(factor, float64(max(failures-1, 0)))
	return time.Duration(d * (1 - jitter + 2*jitter*rand.Float64()))
}
